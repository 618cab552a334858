package ottla

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// part is a running piece of the node: its Run in one goroutine.
type part struct {
	name   string
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // once ended is closed
}

// failure is the first part that ended by itself.
type failure struct {
	once sync.Once
	done chan struct{}
	err  error
}

func (f *failure) report(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.done)
	})
}

// start runs a part until its stop. A part that ends before, even without an error, fails the node.
func (f *failure) start(name string, run func(context.Context) error) *part {
	ctx, cancel := context.WithCancel(context.Background())
	p := &part{name: name, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = run(ctx)
		if errors.Is(p.err, context.Canceled) && ctx.Err() != nil {
			p.err = nil
		}
		if p.err != nil {
			p.err = fmt.Errorf("%s: %w", name, p.err)
		}
		if ctx.Err() == nil {
			f.report(errors.Join(p.err, fmt.Errorf("%s ended", name)))
		}
	}()
	return p
}

// stop ends the part and waits for it.
func (p *part) stop() error {
	p.cancel()
	<-p.ended
	return p.err
}
