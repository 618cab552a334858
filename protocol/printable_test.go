package protocol

import "testing"

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"":              "",
		"group-1 ä":     "group-1 ä",
		"a\nb":          `"a\nb"`,
		"\x1b[31mred":   `"\x1b[31mred"`,
		"\u202egnp.exe": `"\u202egnp.exe"`,
		"\xff":          `"\xff"`,
		"\t":            `"\t"`,
		`"a\nb"`:        `"\"a\\nb\""`,
		`a\nb`:          `a\nb`,
		"\u00a0":        `"\u00a0"`,
	} {
		if got := Printable(s); got != want {
			t.Errorf("%q is shown as %s, want %s", s, got, want)
		}
	}
}
