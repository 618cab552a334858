package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// progress prints one line, rewritten every half second, about long work: how much, how fast, how long still. It speaks only to a terminal, and only after the first second.
type progress struct {
	w       io.Writer
	verb    string
	started time.Time
	total   atomic.Int64 // units in all; 0 is unknown
	done    atomic.Int64 // units done: bytes read, or records
	records atomic.Int64
	bytes   atomic.Int64
	stop    chan struct{}
	ended   chan struct{}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// startProgress begins to print to standard error when that is a terminal or always is set. Call end when the work is done.
func startProgress(verb string, always bool) *progress {
	p := &progress{verb: verb, started: time.Now(), stop: make(chan struct{}), ended: make(chan struct{}), w: io.Discard}
	if always || isTerminal(os.Stderr) {
		p.w = os.Stderr
	}
	go p.run()
	return p
}

func (p *progress) add(records, bytes int64) {
	p.records.Add(records)
	p.bytes.Add(bytes)
}

func (p *progress) run() {
	defer close(p.ended)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	printed := false
	for {
		select {
		case <-tick.C:
			if since := time.Since(p.started); since > time.Second {
				fmt.Fprintf(p.w, "\r\033[K%s", p.line(since))
				printed = true
			}
		case <-p.stop:
			if printed {
				fmt.Fprintf(p.w, "\r\033[K%s\n", p.line(time.Since(p.started)))
			}
			return
		}
	}
}

// line is "produced 1200000 records, 240000/s, 48.0 MB/s, 12s left".
func (p *progress) line(since time.Duration) string {
	s := since.Seconds()
	text := fmt.Sprintf("%s %d records, %.0f/s, %.1f MB/s", p.verb, p.records.Load(), float64(p.records.Load())/s, float64(p.bytes.Load())/1e6/s)
	total, done := p.total.Load(), p.done.Load()
	if total > 0 && done > 0 && done <= total {
		left := time.Duration(float64(since) * float64(total-done) / float64(done))
		text += fmt.Sprintf(", %d%%, %s left", done*100/total, left.Round(time.Second))
	}
	return text
}

func (p *progress) end() {
	close(p.stop)
	<-p.ended
}
