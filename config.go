package ottla

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"ottla/log/vfs"
	"ottla/protocol"
	"ottla/protocol/config"
)

// Config is what a node is started with. The zero value works: data in ./ottla-data, port 9092 on every address, no HTTP.
type Config struct {
	// Data is the folder of all data; empty means log.dirs of Properties, else "ottla-data".
	Data string
	// Listen is HOST:PORT for Kafka clients (port 0 chooses one); empty means listeners of Properties, else ":9092".
	Listen string
	// Advertise is HOST:PORT that clients are told to connect to; empty means advertised.listeners of Properties, else the local address of each connection.
	Advertise string
	// HTTP is HOST:PORT for readiness, health and metrics; empty means none.
	HTTP string
	// NodeID is this node's number; nil means node.id of Properties, else the one in the data folder, else 1.
	NodeID *int32
	// Join is HOST:PORT of nodes of a cluster that this node joins when its folders are empty: it never founds one alone then.
	Join []string
	// BootstrapExpect founds a cluster when so many nodes with empty folders see one another, this one among them; Join and BootstrapExpect are the same on all of them. Zero: never.
	BootstrapExpect int
	// Secret is what the nodes of a cluster prove to one another: a line of at least 16 characters. Empty means that of the data folder, which is minted when a cluster is founded.
	Secret string
	// Properties are Kafka's broker configs by name. A value that is not one of its type is an error; a name that has no effect is logged.
	Properties map[string]string
	// Logger takes what the node has to say; nil means slog.Default().
	Logger *slog.Logger
	// FS is the disk; nil means the operating system's.
	FS vfs.FS
	// DialFunc connects to other nodes; nil means TCP.
	DialFunc func(ctx context.Context, network, address string) (net.Conn, error)
	// ListenFunc opens the listener for Kafka clients; nil means TCP.
	ListenFunc func(ctx context.Context, network, address string) (net.Listener, error)
}

const (
	defaultData   = "ottla-data"
	defaultListen = ":9092"
	firstNodeID   = 1
)

// settings is a Config with everything that Properties decide filled in.
type settings struct {
	Config
	dirs   []string           // log directories; the metadata log lives in the first
	nodeID *protocol.BrokerID // nil: the data folder's, or the first
}

func (c Config) resolve() (*settings, error) {
	s := &settings{Config: c}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	var err error
	if s.FS == nil {
		s.FS, err = vfs.System()
	}
	if s.ListenFunc == nil {
		s.ListenFunc = (&net.ListenConfig{}).Listen
	}
	if s.DialFunc == nil {
		s.DialFunc = new(net.Dialer).DialContext
	}
	return s, errors.Join(err, s.checkProperties(), s.resolveDirs(), s.resolveListen(), s.resolveNodeID(), s.checkJoin())
}

// checkProperties refuses values of a wrong type and names what has no effect here.
func (s *settings) checkProperties() error {
	var failed []error
	var idle []string
	for name, value := range s.Properties {
		d := config.Lookup(config.Broker, name)
		if d == nil {
			idle = append(idle, name)
			continue
		}
		if err := d.Validate(value); err != nil {
			failed = append(failed, err)
		}
		if !d.Applied {
			idle = append(idle, name)
		}
	}
	if len(idle) > 0 {
		slices.Sort(idle)
		s.Logger.Warn("these properties have no effect", "names", idle)
	}
	return errors.Join(failed...)
}

func (s *settings) resolveDirs() error {
	if s.Data != "" {
		s.dirs = []string{s.Data}
		return nil
	}
	for _, name := range []string{"log.dirs", "log.dir"} {
		if s.Properties[name] != "" {
			return s.listDirs(name)
		}
	}
	s.dirs = []string{defaultData}
	return nil
}

// listDirs takes the folders that a property names.
func (s *settings) listDirs(name string) error {
	for dir := range strings.SplitSeq(s.Properties[name], ",") {
		if dir = strings.TrimSpace(dir); dir == "" {
			continue
		}
		if dir = path.Clean(dir); slices.Contains(s.dirs, dir) {
			return fmt.Errorf("%s names %s twice", name, dir)
		}
		s.dirs = append(s.dirs, dir)
	}
	if len(s.dirs) == 0 {
		return fmt.Errorf("%s names no folder", name)
	}
	return nil
}

func (s *settings) resolveListen() error {
	if s.Listen == "" && s.Properties["listeners"] != "" {
		a, err := s.clientListener("listeners")
		if err != nil {
			return err
		}
		s.Listen = a
	}
	if s.Listen == "" {
		s.Listen = defaultListen
	}
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if s.Advertise == "" && s.Properties["advertised.listeners"] != "" {
		a, err := s.clientListener("advertised.listeners")
		if err != nil {
			return err
		}
		s.Advertise = a
	}
	if s.Advertise != "" {
		switch host, port, err := splitAddress(s.Advertise); {
		case err != nil:
			return fmt.Errorf("advertised address: %w", err)
		case host == "" || port == 0:
			return fmt.Errorf("advertised address %s: no host, or port 0: clients could not connect to it", s.Advertise)
		}
	}
	return nil
}

// clientListener is the address of the one plaintext listener in a list such as "PLAINTEXT://:9092,CONTROLLER://:9093".
// Listeners of the controller are not clients' business; other security protocols are not served by this version, and silence about them would be dangerous.
func (s *settings) clientListener(property string) (string, error) {
	controllers := strings.Split(s.Properties["controller.listener.names"], ",")
	found := ""
	for entry := range strings.SplitSeq(s.Properties[property], ",") {
		name, address, ok := strings.Cut(strings.TrimSpace(entry), "://")
		switch {
		case !ok:
			return "", fmt.Errorf("%s: %q is not NAME://HOST:PORT", property, entry)
		case slices.ContainsFunc(controllers, func(c string) bool { return strings.TrimSpace(c) == name }):
			continue
		case s.securityProtocol(name) != "PLAINTEXT":
			return "", fmt.Errorf("%s: listener %s wants %s, and this version serves PLAINTEXT alone", property, name, s.securityProtocol(name))
		case found != "":
			return "", fmt.Errorf("%s: this version serves one listener for clients", property)
		}
		found = address
	}
	if found == "" {
		return "", fmt.Errorf("%s names no listener for clients", property)
	}
	return found, nil
}

// securityProtocol is what listener.security.protocol.map says of a listener; one that it does not name is called after its protocol, as in Kafka.
func (s *settings) securityProtocol(listener string) string {
	for pair := range strings.SplitSeq(s.Properties["listener.security.protocol.map"], ",") {
		if name, protocol, ok := strings.Cut(strings.TrimSpace(pair), ":"); ok && name == listener {
			return protocol
		}
	}
	return listener
}

func (s *settings) resolveNodeID() error {
	if s.NodeID != nil {
		id := protocol.BrokerID(*s.NodeID)
		s.nodeID = &id
	}
	for _, name := range []string{"node.id", "broker.id"} {
		if s.nodeID == nil && s.Properties[name] != "" {
			n, err := strconv.ParseInt(s.Properties[name], 10, 32)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			id := protocol.BrokerID(n)
			s.nodeID = &id
		}
	}
	if s.nodeID != nil && *s.nodeID < 0 {
		return fmt.Errorf("node id %d: must be at least 0", *s.nodeID)
	}
	return nil
}

// checkJoin refuses addresses that nobody can dial, and a founding by fewer nodes than are named: two halves could found one each.
func (s *settings) checkJoin() error {
	for _, a := range s.Join {
		if host, port, err := splitAddress(a); err != nil || host == "" || port == 0 {
			return fmt.Errorf("--join %s: want HOST:PORT", a)
		}
	}
	if e := s.BootstrapExpect; e != 0 && e != len(s.Join) {
		return fmt.Errorf("--bootstrap-expect %d: it has to be the number of addresses of --join, which names %d; this node's own is one of them", e, len(s.Join))
	}
	return nil
}

// splitAddress reads HOST:PORT with a numeric port.
func splitAddress(a string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(a)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%s: port: %w", a, err)
	}
	return host, uint16(n), nil
}
