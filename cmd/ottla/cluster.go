package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/protocol"
)

func newCluster() *cobra.Command {
	var to connection
	c := &cobra.Command{Use: "cluster", Short: "Describe the cluster, and change who is in it", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	to.flag(c)
	c.AddCommand(newClusterDescribe(&to), newClusterUnregister(&to), newClusterVoter(&to, true), newClusterVoter(&to, false))
	return c
}

// clusterView is what `ottla cluster describe` knows; JSON prints it as it is.
type clusterView struct {
	ID         string      `json:"id"`
	Controller int32       `json:"controller"`
	Nodes      []nodeView  `json:"nodes"`
	Quorum     *quorumView `json:"quorum"`
	// Features are those that the broker which was asked knows.
	Features []featureView `json:"features"`
}

type featureView struct {
	Name  string `json:"name"`
	Level int16  `json:"level"` // finalized; 0 is off
	Min   int16  `json:"min"`   // of what the broker understands
	Max   int16  `json:"max"`
}

type nodeView struct {
	ID      int32   `json:"id"`
	Address string  `json:"address"`
	Rack    *string `json:"rack"`
	Fenced  bool    `json:"fenced"`
}

type quorumView struct {
	Leader        int32         `json:"leader"`
	Epoch         int32         `json:"epoch"`
	HighWatermark int64         `json:"high_watermark"`
	Voters        []replicaView `json:"voters"`
	Observers     []replicaView `json:"observers"`
}

type replicaView struct {
	ID     int32 `json:"id"` // -1: a voter whose disk was lost, and whose node is back with another
	LogEnd int64 `json:"log_end"`
	// CaughtUp is when it last had all that the leader had; null: unknown.
	CaughtUp *time.Time `json:"caught_up"`
}

func newClusterDescribe(to *connection) *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "describe", Short: "Show nodes, controller and quorum", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := to.client(c.Context())
			if err != nil {
				return err
			}
			defer cl.Close()
			v, err := describeCluster(c.Context(), cl)
			if err != nil {
				return err
			}
			if out.json() {
				return out.value(c, v)
			}
			return v.print(c, &out)
		},
	}
	out.flag(c)
	return c
}

func describeCluster(ctx context.Context, cl *kgo.Client) (*clusterView, error) {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeFencedBrokers = true
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, fmt.Errorf("describe cluster: %w", err)
	}
	v := &clusterView{ID: resp.ClusterID, Controller: resp.ControllerID, Nodes: []nodeView{}}
	for _, b := range resp.Brokers {
		v.Nodes = append(v.Nodes, nodeView{b.NodeID, fmt.Sprintf("%s:%d", b.Host, b.Port), b.Rack, b.IsFenced})
	}
	if v.Quorum, err = describeQuorum(ctx, cl); err != nil {
		return nil, fmt.Errorf("describe quorum: %w", err)
	}
	if v.Features, err = describeFeatures(ctx, cl); err != nil {
		return nil, fmt.Errorf("describe features: %w", err)
	}
	return v, nil
}

func describeFeatures(ctx context.Context, cl *kgo.Client) ([]featureView, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "ottla", "1"
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	levels := map[string]int16{}
	for _, f := range resp.FinalizedFeatures {
		levels[f.Name] = f.MaxVersionLevel
	}
	out := []featureView{}
	for _, f := range resp.SupportedFeatures {
		out = append(out, featureView{f.Name, levels[f.Name], f.MinVersion, f.MaxVersion})
	}
	return out, nil
}

func describeQuorum(ctx context.Context, cl *kgo.Client) (*quorumView, error) {
	p, err := askQuorum(ctx, cl)
	if err != nil {
		return nil, err
	}
	return &quorumView{Leader: p.LeaderID, Epoch: p.LeaderEpoch, HighWatermark: p.HighWatermark, Voters: replicaViews(p.CurrentVoters), Observers: replicaViews(p.Observers)}, nil
}

func askQuorum(ctx context.Context, cl *kgo.Client) (*kmsg.DescribeQuorumResponseTopicPartition, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	req.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: protocol.MetadataTopic, Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: 0}}}}
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("an answer about %d topics", len(resp.Topics))
	}
	p := &resp.Topics[0].Partitions[0]
	return p, kerr.ErrorForCode(p.ErrorCode)
}

func replicaViews(rs []kmsg.DescribeQuorumResponseTopicPartitionReplicaState) []replicaView {
	out := []replicaView{}
	for _, r := range rs {
		v := replicaView{ID: r.ReplicaID, LogEnd: r.LogEndOffset}
		if r.LastCaughtUpTimestamp >= 0 {
			at := time.UnixMilli(r.LastCaughtUpTimestamp).UTC()
			v.CaughtUp = &at
		}
		out = append(out, v)
	}
	return out
}

// print shows small tables for people, and says in words what they may wonder about.
func (v *clusterView) print(c *cobra.Command, out *output) error {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "cluster %s, controller %d\n\n", v.ID, v.Controller)
	nodes := table{columns: []string{"node", "address", "rack", "state"}}
	for _, n := range v.Nodes {
		state := "live"
		if n.Fenced {
			state = "fenced"
		}
		nodes.rows = append(nodes.rows, []any{n.ID, n.Address, optional(n.Rack), state})
	}
	if err := out.print(c, nodes); err != nil {
		return err
	}
	q := v.Quorum
	fmt.Fprintf(w, "\nquorum: leader %d in epoch %d, committed up to offset %d\n\n", q.Leader, q.Epoch, q.HighWatermark)
	replicas := table{columns: []string{"node", "role", "log end", "behind"}}
	for _, list := range []struct {
		role string
		of   []replicaView
	}{{"voter", q.Voters}, {"learner", q.Observers}} {
		for _, r := range list.of {
			replicas.rows = append(replicas.rows, r.row(list.role, q))
		}
	}
	if err := out.print(c, replicas); err != nil {
		return err
	}
	if words := q.words(); words != "" {
		fmt.Fprintf(w, "\n%s\n", words)
	}
	if len(v.Features) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	features := table{columns: []string{"feature", "level", "understood"}}
	for _, f := range v.Features {
		features.rows = append(features.rows, []any{f.Name, f.Level, fmt.Sprintf("%d to %d", f.Min, f.Max)})
	}
	return out.print(c, features)
}

// row is a line of the table of the quorum. What is not known is a dash.
func (r *replicaView) row(role string, q *quorumView) []any {
	if r.ID == q.Leader {
		role = "leader"
	}
	var id, end, behind any = r.ID, r.LogEnd, max(0, q.HighWatermark-r.LogEnd)
	if r.ID < 0 {
		id, role = nil, role+", disk lost"
	}
	if r.LogEnd < 0 {
		end, behind = nil, nil
	}
	return []any{id, role, end, behind}
}

// words is what the number of voters means; "" if nothing has to be said.
func (q *quorumView) words() string {
	switch voters, learners := len(q.Voters), len(q.Observers); {
	case voters == 1 && learners == 1:
		return "One voter of two nodes: two would survive no failure, and one that fails would stop both. With a third node there are three voters."
	case voters == 1 && learners > 1:
		return "One voter: if it fails, nothing can be changed. The learners become voters when two of them have caught up, unless ottla.quorum.voters is 1."
	}
	return ""
}
