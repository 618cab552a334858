package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Validate tells whether value may be set, in Kafka's words. The type comes first, then the definition's own check. Spaces around a value are allowed, as in Kafka,
// except in a Password.
func (d *Definition) Validate(value string) error {
	if d.Type != Password {
		value = strings.TrimSpace(value)
	}
	if err := d.parse(value); err != nil {
		return err
	}
	if d.check == nil {
		return nil
	}
	return d.explain(value, d.check(value))
}

// explain names the config in what a check says.
func (d *Definition) explain(value string, err error) error {
	var list listError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &list):
		return wholeError("Configuration '" + d.Name + "' " + list.Error())
	case errors.As(err, new(wholeError)):
		return err
	}
	var element elementError
	if errors.As(err, &element) {
		value = element.element
	}
	if d.Type == Password {
		value = Hidden
	}
	return invalid(value, d.Name, err.Error())
}

// invalid is the text of Kafka's ConfigException.
func invalid(value, name, why string) error {
	return wholeError("Invalid value " + value + " for configuration " + name + ": " + why)
}

// listError is about a list as a whole; elementError about one element, which the message then shows; wholeError is a complete message, capital letter and all: it
// goes to clients as it is.
type (
	listError    string
	elementError struct{ element, why string }
	wholeError   string
)

func (e listError) Error() string    { return string(e) }
func (e elementError) Error() string { return e.why }
func (e wholeError) Error() string   { return string(e) }

// parse checks that value is of d's type.
func (d *Definition) parse(value string) error {
	switch d.Type {
	case Boolean:
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return invalid(value, d.Name, "Expected value to be either true or false")
		}
	case Short, Int, Long:
		bits := map[Type]int{Short: 16, Int: 32, Long: 64}[d.Type]
		if _, err := strconv.ParseInt(value, 10, bits); err != nil {
			return invalid(value, d.Name, "Not a number of type "+d.Type.String())
		}
	case Double:
		if _, err := parseDouble(value); err != nil {
			return invalid(value, d.Name, "Not a number of type DOUBLE")
		}
	}
	return nil
}

// String is Kafka's name of the type.
func (t Type) String() string {
	names := [...]string{Boolean: "BOOLEAN", String: "STRING", Int: "INT", Short: "SHORT", Long: "LONG", Double: "DOUBLE", List: "LIST", Class: "CLASS", Password: "PASSWORD"}
	if t < Boolean || int(t) >= len(names) {
		return "UNKNOWN"
	}
	return names[t]
}

// parseDouble takes finite decimal numbers only. (Kafka lets NaN pass every range.)
func parseDouble(value string) (float64, error) {
	f, err := strconv.ParseFloat(value, 64)
	if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return 0, strconv.ErrRange
	}
	return f, err
}

type check = func(string) error

// atLeast and between check Short, Int and Long, after the type.
func atLeast(low int64) check { return between(low, math.MaxInt64) }

func between(low, high int64) check {
	return func(value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil:
			return err
		case n < low:
			return fmt.Errorf("Value must be at least %d", low)
		case n > high:
			return fmt.Errorf("Value must be no more than %d", high)
		}
		return nil
	}
}

// gzipLevel is 1 to 9, or -1 for the codec's default.
func gzipLevel(value string) error {
	if value == "-1" || between(1, 9)(value) == nil {
		return nil
	}
	return errors.New("Value must be between 1 and 9 or equal to -1")
}

// ratio checks a Double between 0 and high.
func ratio(high float64) check {
	return func(value string) error {
		f, err := parseDouble(value)
		switch {
		case err != nil:
			return err
		case f < 0:
			return elementError{javaDouble(f), "Value must be at least 0"}
		case f > high:
			return elementError{javaDouble(f), "Value must be no more than " + strconv.FormatFloat(high, 'g', -1, 64)}
		}
		return nil
	}
}

// javaDouble writes f as Java does for the numbers that people type: with a decimal point.
func javaDouble(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func oneOf(values ...string) check {
	return func(value string) error {
		if slices.Contains(values, value) {
			return nil
		}
		return errors.New("String must be one of: " + strings.Join(values, ", "))
	}
}

func oneOfFold(values ...string) check {
	return func(value string) error {
		if slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, value) }) {
			return nil
		}
		return errors.New("String must be one of (case insensitive): " + strings.Join(values, ", "))
	}
}

func notEmpty(value string) error {
	if value == "" {
		return errors.New("String must be non-empty")
	}
	return nil
}

const errEmptyElement = listError("values must not be empty.")

// distinct is a list whose elements are not empty and differ.
func distinct(value string) error {
	list := splitList(value)
	if slices.Contains(list, "") {
		return errEmptyElement
	}
	slices.Sort(list)
	if len(slices.Compact(list)) < len(splitList(value)) {
		return listError("values must not be duplicated.")
	}
	return nil
}

// filled is a distinct list with at least one element.
func filled(value string) error {
	if value == "" {
		return listError("must not be empty. Valid values include: any non-empty value")
	}
	return distinct(value)
}

// listOf is a list, possibly empty, of the given values. One that comes twice does no harm, as in Kafka's own checks of cleanup.policy.
func listOf(values ...string) check {
	return func(value string) error {
		if slices.Contains(splitList(value), "") {
			return errEmptyElement
		}
		for _, element := range splitList(value) {
			if err := oneOf(values...)(element); err != nil {
				return elementError{element, err.Error()}
			}
		}
		return nil
	}
}

// filledListOf is listOf with at least one element.
func filledListOf(values ...string) check {
	return func(value string) error {
		if value == "" {
			return listError("must not be empty. Valid values include: [" + strings.Join(values, ", ") + "]")
		}
		return listOf(values...)(value)
	}
}

// throttledReplicas is "*", or partition:broker pairs; empty is none.
func throttledReplicas(name string) check {
	return func(value string) error {
		if value == "*" {
			return nil
		}
		list := splitList(value)
		for _, element := range list {
			partition, broker, ok := strings.Cut(element, ":")
			if !ok || !digits(partition) || !digits(broker) {
				return elementError{"[" + strings.Join(list, ", ") + "]",
					name + " must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."}
			}
		}
		return nil
	}
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// quorumVoters is a list of id@host:port.
func quorumVoters(value string) error {
	const form = "Each entry should be in the form `{id}@{host}:{port}`."
	for _, element := range splitList(value) {
		id, address, ok := strings.Cut(element, "@")
		if !ok {
			return wholeError("Invalid configuration value for controller.quorum.voters. " + form)
		}
		if _, err := strconv.ParseInt(id, 10, 32); err != nil {
			return wholeError("Failed to parse voter ID as an integer from " + id)
		}
		if !hostPort(address) {
			return wholeError("Failed to parse host name from entry " + element + " for the configuration controller.quorum.voters. " + form)
		}
	}
	return nil
}

// bootstrapServers is a list of host:port.
func bootstrapServers(value string) error {
	for _, element := range splitList(value) {
		if !hostPort(element) {
			return wholeError("Failed to parse host name from " + element + ` for the configuration controller.quorum.bootstrap.servers. Each entry should be in the form "{host}:{port}"`)
		}
	}
	return nil
}

func hostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// ValidateTopic checks the overrides of one topic: names, values, and what they say together. The words are Kafka's.
func ValidateTopic(overrides map[string]string) error {
	for _, name := range sortedKeys(overrides) {
		if Lookup(Topic, name) == nil {
			return wholeError("Unknown topic config name: " + name)
		}
	}
	for _, name := range sortedKeys(overrides) {
		if err := Lookup(Topic, name).Validate(overrides[name]); err != nil {
			return err
		}
	}
	v := Values{Override: overrides}
	if v.Bool("remote.storage.enable") {
		return wholeError("Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.")
	}
	if low, high := v.Int("min.compaction.lag.ms"), v.Int("max.compaction.lag.ms"); low > high {
		return fmt.Errorf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)", low, high)
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
