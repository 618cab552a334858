package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ottla"
	"ottla/protocol/config"
)

// serveFlags is the command line of `ottla serve`; every other setting is a Kafka property, from --config or --set.
type serveFlags struct {
	node       ottla.Config
	nodeID     int32
	secretFile string
	file       string
	set        []string
	logLevel   string
	logJSON    bool
	drain      time.Duration
}

func newServe() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use: "serve", Short: "Run a node", Args: cobra.NoArgs,
		Example: "  ottla serve\n  ottla serve --data /var/lib/ottla --listen :9092 --advertise broker.example.org:9092\n  ottla serve --config server.properties --set log.retention.hours=24",
		RunE:    func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringVar(&f.node.Data, "data", "", "the folder of all data (default \"ottla-data\", or log.dirs of --config)")
	c.Flags().StringVar(&f.node.Listen, "listen", "", "HOST:PORT for Kafka clients; port 0 chooses one (default \":9092\", or listeners of --config)")
	c.Flags().StringVar(&f.node.Advertise, "advertise", "", "HOST:PORT that clients are told to connect to (default: the local address of their connection)")
	c.Flags().StringVar(&f.node.HTTP, "http", "127.0.0.1:9080", "HOST:PORT for /readyz, /healthz and /metrics; port 0 chooses one; empty: none")
	c.Flags().Int32Var(&f.nodeID, "node-id", 1, "this node's number (if not given: the one in the data folder, else what the cluster gives, else 1)")
	c.Flags().StringSliceVar(&f.node.Join, "join", nil, "HOST:PORT[,...] of nodes of a cluster to join, if the folder is empty")
	c.Flags().IntVar(&f.node.BootstrapExpect, "bootstrap-expect", 0, "found a cluster when so many empty nodes of --join see one another, this one among them")
	c.Flags().StringVar(&f.secretFile, "secret-file", "", "the secret of the cluster to join, as its nodes have it in their data folder's cluster.secret (or the variable "+secretVariable+")")
	c.Flags().StringVar(&f.file, "config", "", "a Kafka server.properties file")
	c.Flags().StringArrayVar(&f.set, "set", nil, "KEY=VALUE, a property that overrides the file's; repeatable")
	c.Flags().StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	c.Flags().BoolVar(&f.logJSON, "log-json", false, "log as JSON lines")
	c.Flags().DurationVar(&f.drain, "drain", 10*time.Second, "how long a stop waits for replies under way")
	return c
}

func (f *serveFlags) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	o := &slog.HandlerOptions{Level: level}
	if f.logJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, o)), nil
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o)), nil
}

// properties reads --config and lays --set over it.
func (f *serveFlags) properties() (map[string]string, error) {
	props := map[string]string{}
	if f.file != "" {
		file, err := os.Open(f.file)
		if err != nil {
			return nil, err
		}
		defer file.Close() // read only: nothing to lose
		if props, err = config.ParseProperties(file); err != nil {
			return nil, fmt.Errorf("%s: %w", f.file, err)
		}
	}
	for _, s := range f.set {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("--set %q: want KEY=VALUE", s)
		}
		props[k] = v
	}
	return props, nil
}

// secretVariable holds the secret of the cluster. There is no flag for it: everybody on a host may read those.
const secretVariable = "OTTLA_SECRET"

func (f *serveFlags) secret() (string, error) {
	if f.secretFile == "" {
		return strings.TrimSpace(os.Getenv(secretVariable)), nil
	}
	text, err := os.ReadFile(f.secretFile)
	return strings.TrimSpace(string(text)), err
}

func (f *serveFlags) run(c *cobra.Command) error {
	logger, err := f.logger()
	if err != nil {
		return err
	}
	if f.node.Properties, err = f.properties(); err != nil {
		return err
	}
	f.node.Logger = logger
	if f.node.Secret, err = f.secret(); err != nil {
		return err
	}
	if c.Flags().Changed("node-id") {
		f.node.NodeID = &f.nodeID
	}
	n, err := ottla.Start(c.Context(), f.node)
	if err != nil && c.Context().Err() != nil && errors.Is(err, context.Canceled) {
		logger.Info("stopped before it was ready", "reason", err)
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "listening on %s\n", n.Addr())
	if a := n.HTTPAddr(); a != nil {
		fmt.Fprintf(c.OutOrStdout(), "http on %s\n", a)
	}
	select {
	case <-c.Context().Done():
	case <-n.Done(): // it ended by itself: Close tells why
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), f.drain)
	defer cancel()
	return n.Close(ctx)
}
