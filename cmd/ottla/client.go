package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// connection is the flags that say which cluster a command talks to.
type connection struct{ brokers []string }

func (f *connection) flag(c *cobra.Command) {
	start := []string{"127.0.0.1:9092"}
	if env := os.Getenv("OTTLA_BROKERS"); env != "" {
		start = strings.Split(env, ",")
	}
	c.PersistentFlags().StringSliceVarP(&f.brokers, "brokers", "b", start, "brokers to start from, HOST:PORT[,...] (or $OTTLA_BROKERS)")
}

// reachTimeout is how long a command waits for the first broker to answer.
const reachTimeout = 5 * time.Second

// client returns a client that has reached a broker. One that answers nobody is an error in seconds, and not one retry after the other.
func (f *connection) client(ctx context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(f.brokers...), kgo.ClientID("ottla")}, opts...)...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		cl.Close()
		return nil, fmt.Errorf("no broker answers at %s: %w", strings.Join(f.brokers, ","), err)
	}
	return cl, nil
}

// admin returns an administrative client and what closes it.
func (f *connection) admin(ctx context.Context) (*kadm.Client, func(), error) {
	cl, err := f.client(ctx)
	if err != nil {
		return nil, nil, err
	}
	return kadm.NewClient(cl), cl.Close, nil
}

// completeTopics offers the names of the cluster's topics to the shell.
func (f *connection) completeTopics(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	adm, done, err := f.admin(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer done()
	topics, err := adm.ListTopics(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return topics.Names(), cobra.ShellCompDirectiveNoFileComp
}
