package store

// Migration is migration, for tests with a history that they made up.
type Migration = migration

// OpenWith is Open of an ndp6 with these migrations.
var OpenWith = openStore

// Waits reports whether a commit to a file waits for the disk.
func (s *Store) Waits() (lasting, boot bool) {
	waits := func(f *file) bool { return !f.db.NoSync || !f.db.NoGrowSync }
	return waits(s.lasting), waits(s.boot)
}
