package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"ottla/protocol"
)

// output is the --output flag of a command that prints a table.
type output struct{ format string }

func (o *output) flag(c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "table", "table or json")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)) // fails only for an unknown flag
	c.PreRunE = func(*cobra.Command, []string) error {
		if o.format != "table" && o.format != "json" {
			return fmt.Errorf("--output %s: want table or json", o.format)
		}
		return nil
	}
}

func (o *output) json() bool { return o.format == "json" }

// table is what a command found: printed as aligned columns, or as a JSON array of objects with the columns' names as keys (spaces become underscores).
type table struct {
	columns []string
	rows    [][]any
}

func (o *output) print(c *cobra.Command, t table) error {
	if o.json() {
		list := make([]map[string]any, 0, len(t.rows))
		for _, row := range t.rows {
			m := make(map[string]any, len(row))
			for i, v := range row {
				m[strings.ReplaceAll(t.columns[i], " ", "_")] = v
			}
			list = append(list, m)
		}
		return o.value(c, list)
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.Join(t.columns, "\t")))
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = cell(v)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// value prints v as JSON.
func (o *output) value(c *cobra.Command, v any) error {
	e := json.NewEncoder(c.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// count is "1 record", "2 records".
func count(n int64, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// cell is a value as a table shows it: lists without brackets, names of clients quoted where a terminal would do something with them, and a dash for what is not known, which is null in JSON.
func cell(v any) string {
	if v == nil {
		return "-"
	}
	if list, ok := v.([]int32); ok {
		return strings.Trim(fmt.Sprint(list), "[]")
	}
	return protocol.Printable(fmt.Sprint(v))
}

// jsonBytes is bytes of a client in JSON: text where they are UTF-8, else base64 under a name of its own, so that nothing is lost. nil is null.
type jsonBytes []byte

func (b jsonBytes) MarshalJSON() ([]byte, error) {
	switch {
	case b == nil:
		return []byte("null"), nil
	case utf8.Valid(b):
		return json.Marshal(string(b))
	}
	return json.Marshal(map[string][]byte{"base64": b})
}

// jsonHeader is a record's header; a key may come more than once.
type jsonHeader struct {
	Key   string    `json:"key"`
	Value jsonBytes `json:"value"`
}
