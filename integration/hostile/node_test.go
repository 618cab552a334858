package hostile

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla"
	"ottla/log/vfs"
	"ottla/protocol/memnet"
)

const patience = 20 * time.Second

// victim is a node in this process with one topic, "good", of one partition.
type victim struct {
	node          *ottla.Node
	address, data string
	network       *memnet.Network // of a node in a bubble, else nil
	good          *kgo.Client
}

// startVictim starts a node on loopback, its configuration changed as each says.
func startVictim(t *testing.T, change ...func(*ottla.Config)) *victim {
	t.Helper()
	v := &victim{data: t.TempDir()}
	c := ottla.Config{Data: v.data, Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&c)
	}
	v.start(t, c)
	return v
}

// startInBubble starts a node whose disk, network and time are the bubble's.
func startInBubble(t *testing.T, change ...func(*ottla.Config)) *victim {
	t.Helper()
	const address = "10.0.0.1:9092"
	v := &victim{network: memnet.New()}
	c := ottla.Config{Data: "/data", Listen: address, Advertise: address, FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler),
		ListenFunc: func(_ context.Context, _, address string) (net.Listener, error) { return v.network.Listen(address) }}
	for _, f := range change {
		f(&c)
	}
	v.start(t, c)
	return v
}

// with sets broker properties.
func with(properties map[string]string) func(*ottla.Config) {
	return func(c *ottla.Config) { c.Properties = properties }
}

func (v *victim) start(t *testing.T, c ottla.Config) {
	t.Helper()
	n, err := ottla.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	v.node = n
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Errorf("close the node: %v", err)
		}
	})
	v.address = n.Addr().String()
	if code := v.create(t, "good"); code != 0 {
		t.Fatal(kerr.ErrorForCode(code))
	}
	v.good = v.client(t, kgo.DefaultProduceTopic("good"))
}

// client is one that means well.
func (v *victim) client(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append(opts, kgo.SeedBrokers(v.address))
	if v.network != nil {
		opts = append(opts, kgo.Dialer(v.network.Dial))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// serves fails the test unless the good client's record is acknowledged.
func (v *victim) serves(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := v.good.ProduceSync(ctx, &kgo.Record{Value: []byte("good")}).FirstErr(); err != nil {
		t.Fatalf("the good client: %v", err)
	}
}

// create asks for a topic of one partition and returns the topic's error code.
func (v *victim) create(t *testing.T, name string) int16 {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 5, int32(patience.Milliseconds())
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	req.Topics = append(req.Topics, topic)
	resp := kmsg.NewPtrCreateTopicsResponse()
	v.dial(t).ask(t, req, resp)
	return resp.Topics[0].ErrorCode
}

// attacker is a connection that sends whatever it likes.
type attacker struct{ net.Conn }

func (v *victim) dial(t *testing.T) attacker {
	t.Helper()
	return v.dialFor(t, patience)
}

// dialFor is dial with a deadline for all that the connection will do.
func (v *victim) dialFor(t *testing.T, d time.Duration) attacker {
	t.Helper()
	dial := (&net.Dialer{Timeout: patience}).DialContext
	if v.network != nil {
		dial = v.network.Dial
	}
	c, err := dial(t.Context(), "tcp", v.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the node may have closed it
	if err := c.SetDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
	return attacker{c}
}

// endRequests tells the node that no more comes; answers may.
func (a attacker) endRequests() { _ = a.Conn.(*net.TCPConn).CloseWrite() }

// write sends bytes; that the node has closed meanwhile is seen by whoever reads.
func (a attacker) write(b []byte) { _, _ = a.Write(b) }

var errSilent = errors.New("neither an answer nor a close")

// receive reads one response without its length. An error other than errSilent says that the node has closed.
func (a attacker) receive() ([]byte, error) {
	var size [4]byte
	_, err := io.ReadFull(a, size[:])
	var b []byte
	if err == nil {
		b = make([]byte, binary.BigEndian.Uint32(size[:]))
		_, err = io.ReadFull(a, b)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, errSilent
	}
	return b, err
}

// ask sends a request that is in order, of the version that it has, and reads the answer.
func (a attacker) ask(t *testing.T, req kmsg.Request, resp kmsg.Response) {
	t.Helper()
	a.write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1))
	b, err := a.receive()
	if err != nil {
		t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
	}
	resp.SetVersion(req.GetVersion())
	b = b[4:]
	if resp.IsFlexible() && resp.Key() != 18 {
		b = b[1:]
	}
	if err := resp.ReadFrom(b); err != nil {
		t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
	}
}

// apis is every key and version that the node says it serves.
func (v *victim) apis(t *testing.T) []kmsg.ApiVersionsResponseApiKey {
	t.Helper()
	resp := kmsg.NewPtrApiVersionsResponse()
	v.dial(t).ask(t, kmsg.NewPtrApiVersionsRequest(), resp)
	return resp.ApiKeys
}
