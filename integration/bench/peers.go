package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"ottla/integration/kafka"
	"ottla/integration/process"
)

// broker is a running server that is measured.
type broker struct {
	*process.Process
	address string
}

// peers are the two that are compared.
type peers struct {
	dir          string
	kafka, ottla broker
}

// startPeers starts both over empty folders.
func startPeers(ctx context.Context) (_ *peers, err error) {
	p := &peers{}
	if p.dir, err = os.MkdirTemp("", "ottla-bench"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if !*alone {
		if p.kafka, err = serveKafka(ctx, p.dir); err != nil {
			return nil, err
		}
	}
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if p.ottla, err = serve(ctx, filepath.Join(p.dir, "ottla"), address); err != nil {
		return nil, err
	}
	ready := time.Since(began)
	u, err := usageOf(p.ottla)
	if err != nil {
		return nil, err
	}
	fmt.Printf("ottla: listening after %.0f ms (looked every 20 ms), idle memory %.1f MB\n", ready.Seconds()*1000, u.rssMB)
	return p, nil
}

func serveKafka(ctx context.Context, dir string) (broker, error) {
	libs, err := kafka.Fetch(ctx)
	if err != nil {
		return broker{}, err
	}
	k, err := libs.Start(ctx, dir)
	if err != nil {
		return broker{}, err
	}
	return broker{k.Process, k.Address}, nil
}

// serve starts ottla over a data folder. Groups do not wait for their first members (both brokers do, for 3 s, as they come): Apache Kafka is set so, too.
func serve(ctx context.Context, data, address string) (broker, error) {
	args := []string{"serve", "--data", data, "--listen", address, "--http", *operators, "--set", "group.initial.rebalance.delay.ms=0", "--set", "ottla.pprof=true"}
	p, err := process.Start(ctx, exec.Command(*server, args...), address)
	return broker{p, address}, err
}

func (p *peers) of(k brokerKind) broker {
	if k == apacheKafka {
		return p.kafka
	}
	return p.ottla
}

// stop ends both and removes their data.
func (p *peers) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	for _, b := range []broker{p.kafka, p.ottla} {
		if b.Process != nil {
			errs = append(errs, b.Stop(ctx))
		}
	}
	if err := errors.Join(append(errs, os.RemoveAll(p.dir))...); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}
