package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ndp6/ndp6/plugin/e2e/bench/chart"
	"github.com/ndp6/ndp6/plugin/e2e/bench/page"
	"github.com/ndp6/ndp6/plugin/e2e/bench/sheet"
	"github.com/ndp6/ndp6/plugin/e2e/bench/stat"
	"github.com/ndp6/ndp6/plugin/e2e/lab"
)

// nameSilent is the host that hears nothing: what is measured there is who asks.
const nameSilent = "nobody (who asks)"

// floodRate is how many solicitations a second must be answered.
const floodRate = 50_000

// measureSolicitations asks hosts for addresses.
func measureSolicitations(ctx context.Context, o options) (_ page.Part, err error) {
	n, rounds, duration := 10_000, 3, 2*time.Second
	if o.short {
		n, rounds, duration = 100, 1, 100*time.Millisecond
	}
	b := new(bench)
	defer func() { err = errors.Join(err, b.close()) }()
	if b.lab, err = lab.New(ctx, lab.Options{}); err != nil {
		return page.Part{}, err
	}
	b.later(b.lab.Close)
	var shops []*shop
	for i, st := range o.stands() {
		s, err := b.openShop(ctx, st, 10+i, n)
		if err != nil {
			return page.Part{}, fmt.Errorf("%s: %w", st.name, err)
		}
		shops = append(shops, s)
	}
	for _, s := range shops {
		if err := s.opened(); err != nil {
			return page.Part{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for range rounds {
		for _, s := range shops {
			if err := errors.Join(ctx.Err(), s.round(shops[0], duration)); err != nil {
				return page.Part{}, fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return solicitPart(ctx, shops, n)
}

func solicitPart(ctx context.Context, shops []*shop, n int) (page.Part, error) {
	table := page.Table{Title: fmt.Sprintf("%s addresses", sheet.Number(float64(n))), Table: sheet.Table{
		Corner: "who answers",
		Columns: []sheet.Column{
			{Name: "answer", Unit: "ms"},
			{Name: "p90", Unit: "ms", Quantile: 0.9},
			{Name: fmt.Sprintf("answered of %d", few)},
			{Name: fmt.Sprintf("unicast, answered of %d", few)},
			{Name: fmt.Sprintf("answered at %s a second", sheet.Number(floodRate)), Unit: "%"},
			{Name: "CPU of each", Unit: "us"},
			{Name: "answers a second at most"},
		},
	}}
	capacity := &chart.Bars{Title: "Solicitations answered in a second", Unit: fmt.Sprintf("with %s addresses, more is better", sheet.Number(float64(n)))}
	for _, s := range shops {
		table.Rows = append(table.Rows, sheet.Row{Name: s.name, Cells: []stat.Sample{s.took, s.took, s.group, s.alone, s.share, s.cost, s.capacity}})
		if len(s.capacity) > 0 {
			capacity.Bars = append(capacity.Bars, bar(s.name, s.capacity.Median()))
		}
	}
	for _, to := range []string{nameKernel, nameNdppd, nameRecipe} {
		table.Ratios = append(table.Ratios, sheet.Ratio{Of: nameBPF, To: to})
	}
	table.Ratios = append(table.Ratios, sheet.Ratio{Of: nameKernel + ", packed", To: nameKernel})
	versions, err := packageVersion(ctx, "ndppd")
	short := best(table.Table, func(name string) string {
		return fmt.Sprintf("answers %s %% of %s a second at %s us each", table.Median(name, 4), sheet.Number(floodRate), table.Median(name, 5))
	})
	return page.Part{Short: short, Versions: []string{versions}, Tables: []page.Table{table}, Charts: []page.Chart{{Name: "solicit", Bars: capacity}}}, err
}
