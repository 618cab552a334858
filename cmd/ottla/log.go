package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"ottla/log"
	"ottla/log/vfs"
)

func newLog() *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Look at data folders", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newLogVerify())
	return c
}

func newLogVerify() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use: "verify FOLDER", Short: "Check a data folder, or one partition's folder, without changing it", Args: cobra.ExactArgs(1),
		Long: "Check everything that a start would believe: batches (CRC, order of offsets and leader epochs), indexes, leader epochs, producer snapshots, the list of folders and\n" +
			"the checkpoints. Nothing is changed; no process may be using the folder. What is found is one of\n\n" +
			"  note     worth knowing\n" +
			"  rebuilt  a start builds it anew from the records\n" +
			"  tail     an end that was never flushed: a start cuts it off\n" +
			"  damage   what was durable is not what was written\n\n" +
			"The exit code tells whether there is damage.",
		Example: "  ottla log verify ottla-data\n  ottla log verify ottla-data/numbers-0 --output json",
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			v, err := log.Verify(vfs.OS{}, filepath.ToSlash(dir))
			if errors.Is(err, vfs.ErrLocked) {
				return fmt.Errorf("%w: stop it first", err)
			}
			if err == nil {
				err = printVerification(c, &out, v)
			}
			if err == nil && v.Damaged() > 0 {
				err = fmt.Errorf("%s: %d damaged", args[0], v.Damaged())
			}
			return err
		},
	}
	out.flag(c)
	return c
}

// printVerification prints one JSON object, or a table of the partitions and one of what was found.
func printVerification(c *cobra.Command, out *output, v *log.Verification) error {
	if out.json() {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	partitions := table{columns: []string{"partition", "segments", "batches", "bytes", "start", "end", "state"}}
	for _, p := range v.Partitions {
		partitions.rows = append(partitions.rows, []any{p.Partition, p.Segments, p.Batches, p.Bytes, p.Start, p.End, p.State()})
	}
	if err := out.print(c, partitions); err != nil {
		return err
	}
	all := v.All()
	if len(all) == 0 {
		return nil
	}
	found := table{columns: []string{"found", "file", "position", "offset", "problem"}}
	for _, f := range all {
		found.rows = append(found.rows, []any{f.Severity, f.File, unless(f.Position, -1), unless(int64(f.Offset), -1), f.Problem})
	}
	fmt.Fprintln(c.OutOrStdout())
	return out.print(c, found)
}

// unless is n as a table shows it, nothing if it is none.
func unless(n, none int64) string {
	if n == none {
		return ""
	}
	return fmt.Sprint(n)
}
