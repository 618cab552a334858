// Command schemagen writes the table of request schemas that package wire checks bodies by.
//
// It reads the Go source of kmsg's decoders (generated code of great regularity) rather than Kafka's message definitions, since Check has to predict exactly what those
// decoders will do, and since kmsg knows versions before Kafka's published definitions do. A statement of a shape that it does not know is an error, never a guess.
//
// Start reading at model.go for what comes out, then parse.go for how it is found; emit.go prints it.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/format"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const kmsgPath = "github.com/twmb/franz-go/pkg/kmsg"

func main() {
	from := flag.String("from", "", "directory of kmsg's source; the module's own by default")
	out := flag.String("o", "schema_gen.go", "file to write")
	flag.Parse()
	if err := run(*from, *out); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

func run(from, out string) error {
	if from == "" {
		p, err := build.Import(kmsgPath, ".", build.FindOnly)
		if err != nil {
			return fmt.Errorf("find kmsg: %w", err)
		}
		from = p.Dir
	}
	decoders, err := loadDecoders(filepath.Join(from, "generated.go"))
	if err != nil {
		return err
	}
	requests, err := parseRequests(decoders)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	emit(&b, requests)
	src, err := format.Source(b.Bytes())
	if err != nil {
		return fmt.Errorf("format: %w", err)
	}
	return os.WriteFile(out, src, 0o644)
}

// loadDecoders finds every readFrom method, by the name of its type.
func loadDecoders(file string) (map[string]*ast.BlockStmt, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	decoders := make(map[string]*ast.BlockStmt)
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Name.Name != "readFrom" || fn.Recv == nil {
			continue
		}
		if star, ok := fn.Recv.List[0].Type.(*ast.StarExpr); ok {
			decoders[star.X.(*ast.Ident).Name] = fn.Body
		}
	}
	return decoders, nil
}

// parseRequests reads the schema of every key that kmsg knows; a key that it does not know has no root.
func parseRequests(decoders map[string]*ast.BlockStmt) ([]request, error) {
	var all []request
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		r := kmsg.RequestForKey(key)
		if r == nil {
			all = append(all, request{maxVersion: -1, flexible: math.MaxInt16})
			continue
		}
		name := reflect.TypeOf(r).Elem().Name()
		body := decoders[name]
		if body == nil {
			return nil, fmt.Errorf("%s: no readFrom", name)
		}
		root, err := parseDecoder(body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, request{name: name, maxVersion: r.MaxVersion(), flexible: flexibleSince(r), root: root})
	}
	return all, nil
}

func flexibleSince(r kmsg.Request) int16 {
	for v := int16(0); v <= r.MaxVersion(); v++ {
		if r.SetVersion(v); r.IsFlexible() {
			return v
		}
	}
	return math.MaxInt16
}
