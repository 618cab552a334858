package config

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestParseProperties(t *testing.T) {
	cases := []struct {
		text string
		want map[string]string
	}{
		{"", map[string]string{}},
		{"# a=b\n ! c=d\n\n  \t\n", map[string]string{}},
		{"a=b\nc: d\ne f\ng\nh=\n=i", map[string]string{"a": "b", "c": "d", "e": "f", "g": "", "h": "", "": "i"}},
		{"  a \t = b c \r\nd=e\rf=g", map[string]string{"a": "b c ", "d": "e", "f": "g"}},
		{"a = = b\nc::d", map[string]string{"a": "= b", "c": ":d"}},
		{"log.dirs=/a,\\\n   /b,\\\r\n\t/c\nx=1", map[string]string{"log.dirs": "/a,/b,/c", "x": "1"}},
		{"a=b\\", map[string]string{"a": "b"}},
		{"a=b\\\\\nc=d", map[string]string{"a": `b\`, "c": "d"}},
		{`a\ b\=\:c=d\te\nf\rg\fh\q`, map[string]string{"a b=:c": "d\te\nf\rg\fhq"}},
		{`a=\u00e9\u20AC\ud83d\ude00\ud83d!`, map[string]string{"a": "é€😀\ufffd!"}},
		{"a=é\n# x \\\nb=c", map[string]string{"a": "é", "b": "c"}},
		{"a=1\na=2", map[string]string{"a": "2"}},
		{"a=1 # not a comment", map[string]string{"a": "1 # not a comment"}},
		{"a=1\\\n# neither", map[string]string{"a": "1# neither"}},
	}
	for _, c := range cases {
		got, err := ParseProperties(strings.NewReader(c.text))
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%q: %q %v, want %q", c.text, got, err, c.want)
		}
	}
}

func TestParsePropertiesRefuses(t *testing.T) {
	for _, text := range []string{`a=\u12`, `a=\uxyzw`, "ok=1\n\\u1=b", strings.Repeat("a=b\n", maxProperties), strings.Repeat("a", maxProperties+1)} {
		if got, err := ParseProperties(strings.NewReader(text)); !errors.Is(err, ErrProperties) {
			t.Errorf("%.20q: %d properties, %v", text, len(got), err)
		}
	}
}

func FuzzParseProperties(f *testing.F) {
	f.Add("a=b\\\n c\\u00e9 : d\n#x\r\n!y\r=\\")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseProperties(strings.NewReader(text))
		if err != nil {
			return
		}
		total := 0
		for k, v := range got {
			total += len(k) + len(v)
		}
		if total > len(text) {
			t.Errorf("%d bytes became %d", len(text), total)
		}
	})
}
