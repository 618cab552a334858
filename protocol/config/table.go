package config

// row is a line of the table: what differs between definitions, in the order in which people read it.
type row struct {
	name    string
	kind    Type
	initial string // the default; null is none
	mode    Mode
	effect  effect
	check   check // beyond the type
	doc     string
}

// null is the default of a config that is unset at first.
const null = "\x00"

// effect tells whether this broker acts on a config. A feature that comes later turns its rows from inert to applied.
type effect bool

const (
	applied effect = true
	inert   effect = false
)

const (
	maxInt32 = "2147483647"
	maxInt64 = "9223372036854775807"
)

const (
	mebi    = 1 << 20
	hoursMs = 3_600_000
	minMs   = 60_000
)

func (r row) definition(scope Scope, synonyms []Synonym) *Definition {
	d := &Definition{
		Name: r.name, Type: r.kind, Scope: scope, Mode: r.mode, Doc: r.doc, Applied: bool(r.effect),
		Sensitive: r.kind == Password, Synonyms: synonyms, check: r.check,
	}
	if r.initial != null {
		d.Default, d.HasDefault = r.initial, true
	}
	return d
}

// alike are broker configs that stand for one another: the first that is set wins. The scales are towards the first.
var alike = [][]Synonym{
	{{"log.retention.ms", 1}, {"log.retention.minutes", minMs}, {"log.retention.hours", hoursMs}},
	{{"log.roll.ms", 1}, {"log.roll.hours", hoursMs}},
	{{"log.roll.jitter.ms", 1}, {"log.roll.jitter.hours", hoursMs}},
	{{"log.flush.interval.ms", 1}, {"log.flush.scheduler.interval.ms", 1}},
}

// synonymsOf is the group of alike configs that name belongs to.
func synonymsOf(name string) []Synonym {
	for _, group := range alike {
		for _, s := range group {
			if s.Name == name {
				return group
			}
		}
	}
	return nil
}

// brokerTables gathers the broker*.go files.
func brokerTables() []*Definition {
	var out []*Definition
	for _, rows := range [][]row{
		nodeRows, listenerRows, logRows, cleanerRows, replicationRows, quorumRows, groupRows, newGroupRows, shareRows, transactionRows,
		securityRows, saslRows, remoteRows, operationRows, throttleRows, ottlaRows,
	} {
		for _, r := range rows {
			out = append(out, r.definition(Broker, synonymsOf(r.name)))
		}
	}
	return out
}
