package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// connect makes a connection from 10.0.0.1 to 10.0.0.2.
func connect(t *testing.T, n *Network) (client, server net.Conn) {
	t.Helper()
	l, err := n.Listen("10.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err = n.Host("10.0.0.1")(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	if client.LocalAddr().String() != server.RemoteAddr().String() || client.RemoteAddr().String() != server.LocalAddr().String() {
		t.Errorf("addresses do not match: %v %v, %v %v", client.LocalAddr(), server.RemoteAddr(), client.RemoteAddr(), server.LocalAddr())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestBytesArriveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t, New())
		want := make([]byte, 3*capacity+17)
		for i := range want {
			want[i] = byte(i * 7)
		}
		go func() {
			for rest := want; len(rest) > 0; {
				n, err := client.Write(rest[:min(len(rest), 10_001)])
				if err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
			_ = client.Close()
		}()
		got, err := io.ReadAll(server)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, err %v", len(got), err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t, New())
		start := time.Now()
		_ = server.SetReadDeadline(start.Add(time.Minute))
		_, err := server.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		if ne := net.Error(nil); !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%v is not a time-out", err)
		}
		_ = client.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := client.Write(make([]byte, capacity+1))
		if n != capacity || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %d, %v", n, err)
		}
		// A deadline set from outside wakes a reader that sleeps already, and none at all lets it work again.
		_ = server.SetDeadline(time.Time{})
		if _, err := io.ReadFull(server, make([]byte, capacity)); err != nil {
			t.Error(err)
		}
		go func() {
			time.Sleep(time.Hour)
			_ = server.SetReadDeadline(time.Unix(1, 0))
		}()
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := connect(t, New())
		_, _ = client.Write([]byte("last"))
		go func() {
			time.Sleep(time.Second)
			_ = client.Close()
		}()
		if b, err := io.ReadAll(server); string(b) != "last" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		if _, err := server.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to a closed peer: %v", err)
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after close: %v", err)
		}
		if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
		if err := client.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second close: %v", err)
		}
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		n.SetLatency(5 * time.Millisecond)
		start := time.Now()
		client, server := connect(t, n)
		if took := time.Since(start); took != 10*time.Millisecond {
			t.Errorf("handshake took %v", took)
		}
		for range 3 {
			start = time.Now()
			_, _ = client.Write([]byte("ping"))
			_, _ = io.ReadFull(server, make([]byte, 4))
			_, _ = server.Write([]byte("pong"))
			_, _ = io.ReadFull(client, make([]byte, 4))
			if took := time.Since(start); took != 10*time.Millisecond {
				t.Errorf("round trip took %v", took)
			}
		}
	})
}

func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		client, server := connect(t, n)
		n.Cut("10.0.0.2", "10.0.0.1")
		_, _ = client.Write([]byte("held"))
		_ = server.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := server.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read across a cut: %v", err)
		}
		l, err := n.Listen("10.0.0.2:9092")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := n.Host("10.0.0.1")(ctx, "tcp", "10.0.0.2:9092"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial across a cut: %v", err)
		}
		if c, err := n.Dial(ctx, "tcp", "10.0.0.2:9092"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial with a context that has ended: %v, %v", c, err)
		}
		time.AfterFunc(time.Minute, func() { n.Heal("10.0.0.1", "10.0.0.2") })
		if _, err := n.Host("10.0.0.1")(t.Context(), "tcp", "10.0.0.2:9092"); err != nil {
			t.Errorf("dial after the cut: %v", err)
		}
		_ = server.SetReadDeadline(time.Time{})
		b := make([]byte, 4)
		if _, err := io.ReadFull(server, b); string(b) != "held" {
			t.Errorf("after the cut: %q, %v", b, err)
		}
		_ = l.Close()
	})
}

func TestListenAndDialErrors(t *testing.T) {
	n := New()
	if _, err := n.Listen("nowhere"); err == nil {
		t.Error("listened on nowhere")
	}
	l, err := n.Listen("127.0.0.1:9092")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen("127.0.0.1:9092"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	waiting, err := n.Dial(t.Context(), "tcp", "127.0.0.1:9092")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err == nil {
		t.Error("closed twice")
	}
	if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a connection never accepted: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	for _, address := range []string{"127.0.0.1:9092", "name:1"} {
		if _, err := n.Dial(t.Context(), "tcp", address); err == nil {
			t.Errorf("dialled %s", address)
		}
	}
}
