package ottla

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"ottla/log/vfs"
)

// operators is what a node serves over HTTP: /healthz (the process lives), /readyz (it serves clients), /metrics, /groups (what ottla group explain asks), and /debug/pprof where ottla.pprof asks for it.
type operators struct {
	ready    atomic.Bool
	obstacle atomic.Pointer[func() string] // why the node is not ready although it serves; empty: it is
	listener net.Listener
	mux      *http.ServeMux
	server   http.Server
}

func listenOperators(ctx context.Context, address string, metrics http.Handler, profiles bool, disk vfs.FS) (*operators, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	mux := http.NewServeMux()
	o := &operators{listener: l, mux: mux}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", o.answerReady)
	mux.Handle("GET /metrics", metrics)
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	serveFailpoints(mux, disk)
	o.server = http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	return o, nil
}

func (o *operators) answerReady(w http.ResponseWriter, _ *http.Request) {
	if !o.ready.Load() {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	if f := o.obstacle.Load(); f != nil {
		if why := (*f)(); why != "" {
			http.Error(w, "not ready: "+why, http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ready")
}

// run serves until ctx ends.
func (o *operators) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = o.server.Close() }) // closes the listener; what is under way is a scrape at most
	defer stop()
	if err := o.server.Serve(o.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
