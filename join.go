package ottla

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ottla/log/checkpoint"
	"ottla/protocol"
	"ottla/protocol/client"
	"ottla/protocol/peer"
)

// How a node finds the cluster that it is of. Without --join and with empty folders it founds one. With --join it asks the nodes at these addresses until one that is of a cluster gives it a
// node id; it never founds one alone. With --bootstrap-expect N as well, N empty nodes that see one another found one together: see bootstrap.

const (
	joinDelay    = 250 * time.Millisecond // between two rounds of asking
	joinTimeout  = 5 * time.Second        // of one node
	joinReminder = 10 * time.Second       // how often a node that waits says so
)

// loadSecret takes the secret that was given, else the folder's.
func (n *Node) loadSecret() error {
	text := n.Secret
	if text == "" {
		var err error
		if text, err = checkpoint.ReadSecret(n.FS, n.dirs[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if text == "" && len(n.joining) > 0 {
		return fmt.Errorf("--join needs the secret of the cluster: give the %s of one of its nodes by --secret-file or OTTLA_SECRET", checkpoint.SecretName)
	}
	if text == "" {
		text = peer.MintSecret()
	}
	var err error
	n.Secret = text
	n.secret, err = peer.ParseSecret(text)
	return err
}

// form finds out which cluster this node is of, and under which id.
func (n *Node) form(ctx context.Context) error {
	if n.clusterID != "" && !n.mustJoin {
		n.peers.announce(&n.clusterID)
		return n.checkCluster(ctx)
	}
	if len(n.joining) == 0 {
		n.clusterID = protocol.NewID().String()
		n.peers.announce(&n.clusterID)
		return nil
	}
	n.startServing() // other nodes that form may ask who this one is
	n.Logger.Info("looking for a cluster to join", "addresses", n.joining)
	for reminder := time.Now(); ; {
		joined, err := n.joinRound(ctx)
		if joined || err != nil {
			return err
		}
		if time.Since(reminder) > joinReminder {
			reminder = time.Now()
			n.Logger.Info("no cluster has been found yet", "addresses", n.joining, "bootstrap_expect", n.BootstrapExpect)
		}
		if !sleep(ctx, joinDelay) {
			return fmt.Errorf("no cluster was found at %v: %w", n.joining, ctx.Err())
		}
	}
}

// joinRound asks every address once. An error is one that will not go away.
func (n *Node) joinRound(ctx context.Context) (joined bool, err error) {
	empty := map[protocol.DirectoryID]bool{n.directory: true}
	for i := 0; i < len(n.joining); i++ {
		found, err := n.askToJoin(ctx, n.joining[i])
		switch {
		case errors.Is(err, peer.ErrWrongSecret), errors.Is(err, peer.ErrVersion), errors.Is(err, peer.ErrOtherCluster), errors.Is(err, kerr.DuplicateBrokerRegistration), errors.Is(err, kerr.UnsupportedVersion):
			return false, fmt.Errorf("join %s: %w", n.joining[i], err)
		case err != nil:
			n.Logger.Debug("not joined", "address", n.joining[i], "error", err)
		case found.joined:
			return true, nil
		case found.node.ClusterID == "":
			empty[found.node.Directory] = true
		}
	}
	if n.BootstrapExpect > 0 && len(empty) == n.BootstrapExpect {
		return n.bootstrap(ctx, empty)
	}
	return false, nil
}

// found is what was at an address.
type found struct {
	node   peer.Identity
	joined bool
}

// askToJoin asks one node for an id. The nodes that it knows are asked later on.
func (n *Node) askToJoin(ctx context.Context, address string) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	o := n.peers.connection()
	var local net.Addr
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := n.DialFunc(ctx, network, address)
		if err == nil {
			local = c.LocalAddr()
		}
		return c, err
	}
	c, err := client.Dial(ctx, o, client.Target{Node: protocol.NoBroker, Address: address})
	if err != nil {
		return found{}, err
	}
	defer c.Close()
	f := found{node: c.Node()}
	version, speaks := c.Version(peer.KeyJoin)
	if f.node.ClusterID == "" || !speaks || f.node.Directory == n.directory {
		return f, nil
	}
	call := peer.Join{Node: n.peers.identity().Node}
	if n.nodeID != nil {
		call.ID = *n.nodeID
	}
	reply, err := c.Call(ctx, peer.KeyJoin, version, call.Append(nil))
	if err != nil {
		return f, err
	}
	answer, err := peer.ParseJoined(reply)
	if err != nil {
		return f, err
	}
	n.peers.learn(answer.Nodes)
	for _, e := range answer.Nodes {
		if a := hostPort(e.Host, e.Port); !slices.Contains(n.joining, a) && len(n.joining) < maxJoining {
			n.joining = append(n.joining, a)
		}
	}
	switch {
	case answer.Err != nil:
		return f, answer.Err
	case n.clusterID != "" && n.clusterID != answer.ClusterID:
		return f, fmt.Errorf("log directory %s is of cluster %s, not of %s: %w", n.dirs[0], n.clusterID, answer.ClusterID, peer.ErrOtherCluster)
	}
	n.peers.learnLeader(f.node.ID, address)
	n.clusterID, n.id, n.mustJoin = answer.ClusterID, answer.ID, true
	n.peers.announce(&n.clusterID)
	n.foundSelf(local)
	n.Logger.Info("joining a cluster", "cluster", n.clusterID, "node", n.id, "through", address)
	f.joined = true
	return f, nil
}

// maxJoining bounds the addresses that a node asks.
const maxJoining = 64

// foundSelf takes the address that this node has towards the cluster as the one that it registers, if it was told none.
func (n *Node) foundSelf(local net.Addr) {
	host, _, err := net.SplitHostPort(n.listener.Addr().String())
	if err != nil || local == nil || n.Advertise != "" || host != "" && host != "::" && host != "0.0.0.0" {
		return
	}
	if h, _, err := splitAddress(local.String()); err == nil {
		n.localHost = h
	}
}

// bootstrap has N empty nodes found one cluster: the one with the lowest directory id does, when it has seen all the others, has said so, and has seen all of them again as they were.
// Whoever founds has announced that before it looks a second time: of two that want to, one at least sees the other's announcement, and takes its own back.
func (n *Node) bootstrap(ctx context.Context, seen map[protocol.DirectoryID]bool) (bool, error) {
	for id := range seen {
		if bytes.Compare(id[:], n.directory[:]) < 0 {
			return false, nil // another will
		}
	}
	id := protocol.NewID().String()
	n.peers.announce(&id)
	again := map[protocol.DirectoryID]bool{n.directory: true}
	for _, address := range n.joining {
		node, err := n.look(ctx, address)
		if err == nil && node.ClusterID == "" && seen[node.Directory] {
			again[node.Directory] = true
		}
	}
	if len(again) != len(seen) {
		n.peers.announce(nil)
		return false, nil
	}
	n.clusterID = id
	n.Logger.Info("founding a cluster", "cluster", id, "nodes", len(seen))
	return true, nil
}

// look tells who is at an address.
func (n *Node) look(ctx context.Context, address string) (peer.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	c, err := client.Dial(ctx, n.peers.connection(), client.Target{Node: protocol.NoBroker, Address: address})
	if err != nil {
		return peer.Identity{}, err
	}
	defer c.Close()
	return c.Node(), nil
}

// checkCluster refuses a folder of another cluster than the one that this node is to join. Who does not answer says nothing against it. One of the addresses may be this node's own: it answers.
func (n *Node) checkCluster(ctx context.Context) error {
	if len(n.joining) > 0 {
		n.startServing()
	}
	for _, address := range n.joining {
		node, err := n.look(ctx, address)
		switch {
		case errors.Is(err, peer.ErrOtherCluster):
			return fmt.Errorf("log directory %s is of cluster %s, and %s is a node of another one; nothing was touched", n.dirs[0], n.clusterID, address)
		case errors.Is(err, peer.ErrWrongSecret):
			return fmt.Errorf("%s: %w", address, err)
		case err == nil && node.Directory != n.directory:
			n.peers.learn([]peer.Endpoint{endpointAt(node, address)})
			return nil
		}
	}
	return nil
}

func endpointAt(node peer.Identity, address string) peer.Endpoint {
	e := peer.Endpoint{Node: node.Node}
	e.Host, e.Port, _ = splitAddress(address) // one that was dialed can be read
	return e
}

// joined says that the cluster has this node: it need not ask any more who leads.
func (n *Node) joined() error {
	n.mustJoin = false
	return checkpoint.RemoveJoining(n.FS, n.dirs[0])
}

// keepMembership makes durable what a start needs to know of the cluster, before the folders are bound to it.
func (n *Node) keepMembership() error {
	dir := n.dirs[0]
	if kept, err := checkpoint.ReadSecret(n.FS, dir); err != nil || kept != n.Secret {
		if err := checkpoint.WriteSecret(n.FS, dir, n.Secret); err != nil {
			return err
		}
	}
	if n.mustJoin {
		return checkpoint.WriteJoining(n.FS, dir, n.joining)
	}
	return nil
}
