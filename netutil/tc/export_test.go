package tc

// Lacks is what errors of Load say of a process with these capabilities.
var Lacks = lacks
