// Command ottla is the broker and its tools in one binary.
//
// `ottla serve` runs a node; the other commands are clients that speak Kafka's protocol to any broker, or read files of a data folder (dump, log).
// main.go holds the command tree; one file per command. The commands print tables for people and, with --output json, one JSON value for scripts;
// what is said about the work itself (progress, warnings, logs) goes to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// The first signal asks for an orderly end; after it the default action is back, so that a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := newRoot().ExecuteContext(ctx)
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "ottla:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "ottla",
		Short:         "A Kafka broker in one binary, and its tools",
		Long:          "ottla is a Kafka broker in one binary. `ottla serve` runs a node with no configuration at all;\nthe other commands talk to any Kafka broker.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(newServe(), newTopic(), newGroup(), newConfig(), newCluster(), newProduce(), newConsume(), newDump(), newLog(), newImport(), newVersion())
	return root
}
