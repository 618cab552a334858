package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildVersion is the module's version and the commit that the binary was built from, as the Go toolchain recorded them.
func buildVersion() (version, commit string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", "unknown"
	}
	version, commit = info.Main.Version, "unknown"
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value
		}
	}
	return version, commit
}

func newVersion() *cobra.Command {
	var out output
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			version, commit := buildVersion()
			return out.print(c, table{
				columns: []string{"version", "commit", "go", "platform"},
				rows:    [][]any{{version, commit, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}},
			})
		},
	}
	out.flag(c)
	return c
}
