//go:build faults

package faults

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/log/batch"
)

// rawConn is a connection without opinions: one request at a time, no retries, exact errors.
type rawConn struct {
	net.Conn
	format      *kmsg.RequestFormatter
	correlation int32
	failed      error // of the connection itself: it is of no use any more
}

func dialRaw(address string) (*rawConn, error) {
	c, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		return nil, err
	}
	return &rawConn{Conn: c, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID("faults"))}, nil
}

func (c *rawConn) close() {
	if c != nil {
		_ = c.Conn.Close() // nothing that was sent is taken for granted
	}
}

func (c *rawConn) send(req kmsg.Request) error {
	c.correlation++
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.Write(c.format.AppendRequest(nil, req, c.correlation))
	return err
}

// call sends a request and waits for its answer. The caller sets the version.
func (c *rawConn) call(req kmsg.Request, resp kmsg.Response) error {
	c.failed = c.exchange(req, resp)
	return c.failed
}

func (c *rawConn) exchange(req kmsg.Request, resp kmsg.Response) error {
	if err := c.send(req); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 4 || n > 256<<20 {
		return fmt.Errorf("a response of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if got := int32(binary.BigEndian.Uint32(b)); got != c.correlation {
		return fmt.Errorf("correlation id %d for %d", got, c.correlation)
	}
	b = b[4:]
	resp.SetVersion(req.GetVersion())
	if resp.IsFlexible() && resp.Key() != 18 {
		b = b[1:] // no tags
	}
	return resp.ReadFrom(b)
}

func (c *rawConn) topicID(topic string) (id [16]byte, err error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	resp := kmsg.NewPtrMetadataResponse()
	if err := c.call(req, resp); err != nil {
		return id, err
	}
	if len(resp.Topics) != 1 {
		return id, fmt.Errorf("metadata of %d topics", len(resp.Topics))
	}
	return resp.Topics[0].TopicID, kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// newProduce is a Produce request of version 9 without batches.
func newProduce(topic string, acks int16) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, acks, int32(patience.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	req.Topics = append(req.Topics, t)
	return req
}

func addBatch(req *kmsg.ProduceRequest, partition int32, b []byte) {
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, b
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, p)
}

// produce sends one batch to one partition with acks=all, once.
func (c *rawConn) produce(topic string, partition int32, b []byte) (base int64, err error) {
	req, resp := newProduce(topic, -1), kmsg.NewPtrProduceResponse()
	addBatch(req, partition, b)
	if err := c.call(req, resp); err != nil {
		return 0, err
	}
	p := resp.Topics[0].Partitions[0]
	return p.BaseOffset, kerr.ErrorForCode(p.ErrorCode)
}

// fetch reads batches of one partition from an offset, as they are stored.
func (c *rawConn) fetch(topic string, partition int32, offset int64) ([]byte, error) {
	req, resp := kmsg.NewPtrFetchRequest(), kmsg.NewPtrFetchResponse()
	req.Version, req.MaxBytes, req.MaxWaitMillis, req.MinBytes = 12, 64<<20, 100, 1
	t, p := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	t.Topic, p.Partition, p.FetchOffset, p.PartitionMaxBytes = topic, partition, offset, 16<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	if err := c.call(req, resp); err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	got := resp.Topics[0].Partitions[0]
	return got.RecordBatches, kerr.ErrorForCode(got.ErrorCode)
}

// offsetAt is the offset of the first record at or after a time in milliseconds; latest asks for the end.
func (c *rawConn) offsetAt(topic string, partition int32, timestamp int64) (int64, error) {
	req, resp := newListOffsets(), kmsg.NewPtrListOffsetsResponse()
	addOffset(req, topic, partition, timestamp)
	if err := c.call(req, resp); err != nil {
		return 0, err
	}
	got := resp.Topics[0].Partitions[0]
	return got.Offset, kerr.ErrorForCode(got.ErrorCode)
}

const latest = -1

// newListOffsets is a ListOffsets request of version 5 that asks for nothing.
func newListOffsets() *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 5, -1
	return req
}

// addOffset asks for one partition's; those of a topic come one after the other.
func addOffset(req *kmsg.ListOffsetsRequest, topic string, partition int32, timestamp int64) {
	if len(req.Topics) == 0 || req.Topics[len(req.Topics)-1].Topic != topic {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		req.Topics = append(req.Topics, t)
	}
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = partition, timestamp
	t := &req.Topics[len(req.Topics)-1]
	t.Partitions = append(t.Partitions, p)
}

// raw is the node's connection for one thing after the other; it is made anew when the one before has failed. Goroutines of a load have connections of their own.
func (n *node) raw() (*rawConn, error) {
	if n.conn != nil && n.conn.failed == nil {
		return n.conn, nil
	}
	n.conn.close()
	c, err := dialRaw(n.kafka)
	n.conn = c
	return c, err
}

// produce, fetch and end are calls on that connection.
func (n *node) produce(topic string, partition int32, b []byte) (base int64, err error) {
	c, err := n.raw()
	if err != nil {
		return 0, err
	}
	return c.produce(topic, partition, b)
}

func (n *node) fetch(topic string, partition int32, offset int64) ([]byte, error) {
	c, err := n.raw()
	if err != nil {
		return nil, err
	}
	return c.fetch(topic, partition, offset)
}

func (n *node) end(topic string, partition int32) (int64, error) {
	c, err := n.raw()
	if err != nil {
		return 0, err
	}
	return c.offsetAt(topic, partition, latest)
}

// create makes a topic, delete removes one; their errors are the topic's.
func (c *rawConn) create(topic string, partitions int32) error {
	req, resp := kmsg.NewPtrCreateTopicsRequest(), kmsg.NewPtrCreateTopicsResponse()
	req.Version, req.TimeoutMillis = 5, int32(patience.Milliseconds())
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, 1
	req.Topics = append(req.Topics, t)
	if err := c.call(req, resp); err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

func (c *rawConn) delete(topic string) error {
	req, resp := kmsg.NewPtrDeleteTopicsRequest(), kmsg.NewPtrDeleteTopicsResponse()
	req.Version, req.TimeoutMillis, req.TopicNames = 5, int32(patience.Milliseconds()), []string{topic}
	if err := c.call(req, resp); err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// plainBatch is a batch of one record.
func plainBatch(value string) []byte {
	b := batch.NewBuilder()
	b.Add(time.Now().UnixMilli(), nil, []byte(value))
	return b.Build(nil)
}
