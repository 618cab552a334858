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
	libs, err := kafka.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	k, err := libs.Start(ctx, p.dir)
	if err != nil {
		return nil, err
	}
	p.kafka = broker{k.Process, k.Address}
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	o, err := process.Start(ctx, exec.Command(*server, "serve", "--data", filepath.Join(p.dir, "ottla"), "--listen", address, "--http", "127.0.0.1:0"), address)
	if err != nil {
		return nil, err
	}
	p.ottla = broker{o, address}
	ready := time.Since(began)
	u, err := usageOf(p.ottla)
	if err != nil {
		return nil, err
	}
	fmt.Printf("ottla: listening after %.0f ms (looked every 20 ms), idle memory %.1f MB\n", ready.Seconds()*1000, u.rssMB)
	return p, nil
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
