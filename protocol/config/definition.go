package config

import (
	"slices"
	"strings"
)

// Type is a value's type; the numbers are DescribeConfigs' wire codes.
type Type int8

const (
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3 // 32 bits
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7 // comma-separated
	Class    Type = 8
	Password Type = 9
)

// Scope is what a config belongs to; the numbers are Kafka's wire codes of config resources.
type Scope int8

const (
	Topic  Scope = 2
	Broker Scope = 4
	Group  Scope = 32
)

// Mode tells how a broker config may change. Topic configs are always ClusterWide.
type Mode int8

const (
	ReadOnly    Mode = iota // from the file, at start
	PerBroker               // dynamic, only for one broker at a time: may differ between brokers
	ClusterWide             // dynamic, for one broker or as the default of all
)

// Definition is one config. Definitions are shared and never change.
type Definition struct {
	Name       string
	Type       Type
	Default    string
	HasDefault bool // false: unset is Kafka's null
	Scope      Scope
	Mode       Mode
	Doc        string
	Sensitive  bool
	// Synonyms are the broker configs that decide when this one is not set, first one wins.
	// A broker config with synonyms stands among them itself.
	Synonyms []Synonym
	// Applied is false for a config that is known, stored and described but has no effect on this broker.
	Applied bool

	check func(string) error
}

// Synonym is a broker config that another config falls back to.
type Synonym struct {
	Name string
	// Scale is how many of the config's own units one of the synonym's is: 3,600,000 for hours where milliseconds are wanted. 1 takes the value as it is.
	Scale int64
}

// Lookup is the definition of a name, nil if there is none.
func Lookup(scope Scope, name string) *Definition { return index[scope][name] }

// All is every definition of a scope, by name. The slice is shared: do not change it.
func All(scope Scope) []*Definition { return sorted[scope] }

// Print is value as people may see it: "***" for a sensitive config.
func (d *Definition) Print(value string) string {
	if d.Sensitive {
		return Hidden
	}
	return value
}

// Hidden stands where a sensitive value was.
const Hidden = "***"

// listenerPrefix begins the name of a broker config that holds for one listener only: listener.name.NAME.CONFIG.
const listenerPrefix = "listener.name."

// Redact copies broker properties for logs. Sensitive values and those of unknown names are hidden: a mistyped password is still a password.
func Redact(properties map[string]string) map[string]string {
	out := make(map[string]string, len(properties))
	for name, value := range properties {
		out[name] = Hidden
		base := name
		if rest, ok := strings.CutPrefix(name, listenerPrefix); ok {
			_, base, _ = strings.Cut(rest, ".")
		}
		if d := Lookup(Broker, base); d != nil {
			out[name] = d.Print(value)
		}
	}
	return out
}

var index, sorted = buildTable(topicTable(), brokerTables())

func buildTable(scopes ...[]*Definition) (map[Scope]map[string]*Definition, map[Scope][]*Definition) {
	byName, all := map[Scope]map[string]*Definition{}, map[Scope][]*Definition{}
	for _, table := range scopes {
		scope := table[0].Scope
		names := make(map[string]*Definition, len(table))
		for _, d := range table {
			if names[d.Name] != nil {
				panic("config " + d.Name + " is defined twice")
			}
			names[d.Name] = d
		}
		slices.SortFunc(table, func(a, b *Definition) int { return strings.Compare(a.Name, b.Name) })
		byName[scope], all[scope] = names, table
	}
	return byName, all
}
