// Command bench loads ottla and Apache Kafka in turns, on this machine, and prints what each gigabyte and each request cost the broker.
//
// The client is kept cheap: requests are encoded once and replayed, answers are checked but not decoded. What counts is CPU seconds of the broker's process; on a
// machine that is shared they are steadier than throughput. Rounds are interleaved, so that whatever disturbs the machine disturbs both, and medians are compared.
//
// Each broker is measured as it comes (ottla answers when a record is on disk, Apache Kafka when it is in memory) and at the other's durability: ottla with
// ottla.durability=memory, Apache Kafka with flush.messages=1. `make bench` runs it; Java 17 and Maven must be installed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

var (
	rounds    = flag.Int("rounds", 5, "rounds of each workload; the first one more is not counted")
	only      = flag.String("run", "", "comma-separated workloads; all if empty")
	alone     = flag.Bool("alone", false, "measure ottla alone")
	server    = flag.String("ottla", "bin/ottla", "the binary")
	out       = flag.String("json", "", "file for the figures as JSON")
	operators = flag.String("http", "127.0.0.1:0", "where ottla serves its profiles")
	scale     = flag.Float64("scale", 1, "size of the workloads")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := compare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context) error {
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	peers, err := startPeers(ctx)
	if err != nil {
		return err
	}
	defer peers.stop()
	report := newReport()
	for _, w := range chosen {
		for round := range *rounds + 1 {
			for _, v := range w.measured() {
				m, err := measure(ctx, peers.of(v.broker), w, v)
				if err != nil {
					return fmt.Errorf("%s on %s: %w", w.name, v.name, err)
				}
				if round > 0 { // the first one warms up
					report.add(w, v, m)
				}
			}
		}
		report.printWorkload(os.Stdout, w)
	}
	if *out != "" {
		return report.writeJSON(*out)
	}
	return nil
}

// choose picks workloads by name.
func choose(names string) ([]workload, error) {
	if names == "" {
		return workloads, nil
	}
	var chosen []workload
	for name := range strings.SplitSeq(names, ",") {
		i := 0
		for i < len(workloads) && workloads[i].name != name {
			i++
		}
		if i == len(workloads) {
			return nil, fmt.Errorf("no workload %q", name)
		}
		chosen = append(chosen, workloads[i])
	}
	return chosen, nil
}
