package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// onNode is a command about one node: its argument is the node's id.
func onNode(use, short, long string, to *connection, do func(context.Context, *cobra.Command, *kgo.Client, int32) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " NODE-ID", Short: short, Long: short + ". " + long, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 32)
			if err != nil || id < 0 {
				return fmt.Errorf("node id %q: want a number from 0 on", args[0])
			}
			cl, err := to.client(c.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			return do(c.Context(), c, cl, int32(id))
		},
	}
}

// told is the error of a response: in the words of who has answered, if there are any.
func told(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err != nil && message != nil && *message != "" {
		return fmt.Errorf("%s (%w)", *message, err)
	}
	return err
}

func newClusterUnregister(to *connection) *cobra.Command {
	return onNode("unregister", "Forget a node that will not come back",
		"What it holds stays assigned to it. A node that is up registers again. One that votes is refused: remove-voter comes first.", to, unregister)
}

// unregister forgets the controller first, which a voter refuses: then nothing has happened.
func unregister(ctx context.Context, c *cobra.Command, cl *kgo.Client, id int32) error {
	asController := kmsg.NewPtrUnregisterControllerRequest()
	asController.ControllerID = id
	gone, err := asController.RequestWith(ctx, cl)
	if err == nil {
		err = told(gone.ErrorCode, gone.ErrorMessage)
	}
	noController := errors.Is(err, kerr.ControllerIDNotRegistered)
	if err != nil && !noController {
		return fmt.Errorf("unregister node %d: %w", id, err)
	}
	asBroker := kmsg.NewPtrUnregisterBrokerRequest()
	asBroker.BrokerID = id
	resp, err := asBroker.RequestWith(ctx, cl)
	if err == nil {
		err = told(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil && (noController || !errors.Is(err, kerr.BrokerIDNotRegistered)) {
		return fmt.Errorf("unregister node %d: %w", id, err)
	}
	fmt.Fprintf(c.OutOrStdout(), "node %d is no longer registered\n", id)
	return nil
}

func newClusterVoter(to *connection, add bool) *cobra.Command {
	if add {
		return onNode("add-voter", "Make a node vote in the metadata quorum",
			"Nodes become voters by themselves; by hand one takes the place of a voter that is lost, or comes in together with another, as their number stays odd.", to, addVoter)
	}
	return onNode("remove-voter", "Take a node out of the voters of the metadata quorum", "Another node, which has caught up, takes its place, and it goes on as a learner.", to, removeVoter)
}

func addVoter(ctx context.Context, c *cobra.Command, cl *kgo.Client, id int32) error {
	directory, err := directoryOf(ctx, cl, id)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrAddRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID, req.TimeoutMillis = id, directory, 30_000
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = told(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return fmt.Errorf("add voter %d: %w", id, err)
	}
	fmt.Fprintf(c.OutOrStdout(), "node %d is a voter\n", id)
	return nil
}

func removeVoter(ctx context.Context, c *cobra.Command, cl *kgo.Client, id int32) error {
	directory, err := directoryOf(ctx, cl, id)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrRemoveRaftVoterRequest()
	req.VoterID, req.VoterDirectoryID = id, directory
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = told(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return fmt.Errorf("remove voter %d: %w", id, err)
	}
	fmt.Fprintf(c.OutOrStdout(), "node %d is no longer a voter\n", id)
	return nil
}

// directoryOf is where a member of the quorum has its log: voters are named by it as well, so that a node whose disk was lost is another one.
func directoryOf(ctx context.Context, cl *kgo.Client, id int32) ([16]byte, error) {
	p, err := askQuorum(ctx, cl)
	if err != nil {
		return [16]byte{}, fmt.Errorf("describe quorum: %w", err)
	}
	for _, r := range append(p.CurrentVoters, p.Observers...) {
		if r.ReplicaID == id {
			return r.ReplicaDirectoryID, nil
		}
	}
	return [16]byte{}, fmt.Errorf("node %d is no member of the metadata quorum", id)
}
