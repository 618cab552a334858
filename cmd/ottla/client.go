package main

import (
	"os"
	"strings"

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

func (f *connection) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(f.brokers...), kgo.ClientID("ottla")}, opts...)...)
}

// admin returns an administrative client and what closes it.
func (f *connection) admin() (*kadm.Client, func(), error) {
	cl, err := f.client()
	if err != nil {
		return nil, nil, err
	}
	return kadm.NewClient(cl), cl.Close, nil
}

// completeTopics offers the names of the cluster's topics to the shell.
func (f *connection) completeTopics(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	adm, done, err := f.admin()
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
