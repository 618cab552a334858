package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// fixed is what kmsg's reader methods take off the wire.
var fixed = map[string]int{"Bool": 1, "Int8": 1, "Int16": 2, "Uint16": 2, "Int32": 4, "Uint32": 4, "Int64": 8, "Float64": 8, "Uuid": 16}

// parseDecoder reads a whole readFrom:
//
//	v.Default(); b := kbin.Reader{Src: src}; version := v.Version; isFlexible := version >= N; s := v; fields...; return b.Complete()
func parseDecoder(body *ast.BlockStmt) (*structure, error) {
	start := slices.IndexFunc(body.List, func(s ast.Stmt) bool { return text(s) == "s := v" })
	if start < 0 {
		return nil, errors.New("no fields")
	}
	return parseStructure(body.List[start+1:])
}

// parseStructure reads the fields of one struct:
//
//	{ field } or if version >= A && version <= B { field }, ...; if isFlexible { tags }
func parseStructure(list []ast.Stmt) (*structure, error) {
	s := &structure{}
	for _, stmt := range list {
		switch x := stmt.(type) {
		case *ast.ReturnStmt:
		case *ast.BlockStmt:
			f, err := parseField(x.List)
			if err != nil {
				return nil, err
			}
			s.fields = append(s.fields, f)
		case *ast.IfStmt:
			fields, err := parseConditional(x)
			if err != nil {
				return nil, err
			}
			s.fields = append(s.fields, fields...)
		default:
			return nil, fmt.Errorf("unknown statement %s", text(stmt))
		}
	}
	return s, nil
}

func parseConditional(x *ast.IfStmt) ([]*field, error) {
	cond := types.ExprString(x.Cond)
	if cond == "isFlexible" {
		return parseTags(x.Body.List)
	}
	if strings.HasPrefix(cond, "err != nil") { // if err := b.Complete(), at the end of a tagged struct
		return nil, nil
	}
	from, to, err := parseVersions(cond)
	if err != nil {
		return nil, err
	}
	f, err := parseField(x.Body.List)
	if err != nil {
		return nil, err
	}
	f.from, f.to = from, to
	return []*field{f}, nil
}

func parseVersions(cond string) (from, to int, err error) {
	to = always
	lower, upper, bounded := strings.Cut(cond, " && ")
	if _, err = fmt.Sscanf(lower, "version >= %d", &from); err == nil && bounded {
		_, err = fmt.Sscanf(upper, "version <= %d", &to)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("condition %q: %w", cond, err)
	}
	return from, to, nil
}

// parseTags reads the section of tags: either one call that keeps all as unknown, or a loop around a switch with a case per known tag.
func parseTags(list []ast.Stmt) ([]*field, error) {
	if len(list) != 1 {
		return nil, fmt.Errorf("%d statements in a section of tags", len(list))
	}
	loop, ok := list[0].(*ast.ForStmt)
	if !ok {
		if text(list[0]) == "s.UnknownTags = internalReadTags(&b)" {
			return nil, nil
		}
		return nil, fmt.Errorf("unknown section of tags %s", text(list[0]))
	}
	var fields []*field
	for _, stmt := range loop.Body.List[0].(*ast.SwitchStmt).Body.List {
		c := stmt.(*ast.CaseClause)
		if c.List == nil { // default: unknown
			continue
		}
		tag, err := strconv.Atoi(types.ExprString(c.List[0]))
		if err != nil {
			return nil, fmt.Errorf("tag: %w", err)
		}
		f, err := parseField(c.Body[1:]) // behind b := kbin.Reader{...}
		if err != nil {
			return nil, fmt.Errorf("tag %d: %w", tag, err)
		}
		f.tag = tag
		fields = append(fields, f)
	}
	return fields, nil
}

// parseField tells a field's kind by its first statement.
func parseField(list []ast.Stmt) (*field, error) {
	switch first := text(list[0]); {
	case strings.HasPrefix(first, "v := b."):
		return parseFixed(first)
	case strings.HasPrefix(first, "var t "): // an enum: var t T; { v := b.Int8(); t = T(v) }
		return parseField(list[1].(*ast.BlockStmt).List)
	case first == "var v string", first == "var v *string":
		return parseString(list)
	case first == "var v []byte":
		return parseBytes(list)
	case strings.HasPrefix(first, "v := &s."):
		sub, err := parseInner(list)
		f := newField("kindStruct", "0")
		f.sub = sub
		return f, err
	case strings.HasPrefix(first, "v := s."):
		return parseArray(list)
	default:
		if x, ok := list[0].(*ast.IfStmt); ok && x.Init != nil && text(x.Init) == "present := b.Int8()" {
			return parseOptional(x.Body.List)
		}
		return nil, fmt.Errorf("unknown field %s", first)
	}
}

func parseFixed(stmt string) (*field, error) {
	method := strings.TrimSuffix(strings.TrimPrefix(stmt, "v := b."), "()")
	size, ok := fixed[method]
	if !ok {
		return nil, fmt.Errorf("unknown method %s", method)
	}
	return newField("kindFixed", strconv.Itoa(size)), nil
}

// parseString reads var v string, or var v *string whose header is allocated apart. One that became nullable later asks for the version first.
func parseString(list []ast.Stmt) (*field, error) {
	f := newField("kindString", "0")
	if text(list[0]) == "var v string" {
		return f, nil
	}
	f.size, f.null = sizeOf("string"), 0
	if x, ok := list[1].(*ast.IfStmt); ok {
		if since, isVersion := strings.CutPrefix(types.ExprString(x.Cond), "version < "); isVersion {
			var err error
			f.null, err = strconv.Atoi(since)
			return f, err
		}
	}
	return f, nil
}

func parseBytes(list []ast.Stmt) (*field, error) {
	f := newField("kindBytes", "0")
	ast.Inspect(list[1], func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && strings.Contains(sel.Sel.Name, "Nullable") {
			f.null = 0
		}
		return true
	})
	return f, nil
}

// parseOptional reads s.F = new(T); v := s.F; v.Default(); s := v; fields...
func parseOptional(list []ast.Stmt) (*field, error) {
	call := list[0].(*ast.AssignStmt).Rhs[0].(*ast.CallExpr)
	f := newField("kindOptional", sizeOf(qualified(call.Args[0])))
	var err error
	f.sub, err = parseInner(list[1:])
	return f, err
}

// parseInner reads v := ...; v.Default(); s := v; fields...
func parseInner(list []ast.Stmt) (*structure, error) {
	if text(list[1]) != "v.Default()" || text(list[2]) != "s := v" {
		return nil, fmt.Errorf("unknown struct %s", text(list[1]))
	}
	return parseStructure(list[3:])
}

// parseArray reads v := s.F; a := v; var l int32; if isFlexible {...}; [if version < N || l == 0 {...}]; if !b.Ok() {...}; a = a[:0]; if l > 0 { a = append(a, make([]T, l)...) }; for ... { element }
func parseArray(list []ast.Stmt) (*field, error) {
	f := newField("kindArray", "")
	for _, stmt := range list {
		switch x := stmt.(type) {
		case *ast.IfStmt:
			cond := types.ExprString(x.Cond)
			if cond == "l > 0" {
				f.size = sizeOf(elementType(x.Body.List[0]))
			} else if since, ok := strings.CutPrefix(cond, "version < "); ok {
				var err error
				if f.null, err = strconv.Atoi(strings.TrimSuffix(since, " || l == 0")); err != nil {
					return nil, err
				}
			}
		case *ast.ForStmt:
			var err error
			if f.sub, err = parseElement(x.Body.List); err != nil {
				return nil, err
			}
		}
	}
	if f.size == "" || f.sub == nil {
		return nil, errors.New("array without elements")
	}
	return f, nil
}

func parseElement(list []ast.Stmt) (*structure, error) {
	if text(list[0]) == "v := &a[i]" {
		return parseInner(list)
	}
	f, err := parseField(list)
	if err != nil {
		return nil, err
	}
	return &structure{fields: []*field{f}, plain: true}, nil
}

// elementType is T of a = append(a, make([]T, l)...).
func elementType(stmt ast.Stmt) string {
	call := stmt.(*ast.AssignStmt).Rhs[0].(*ast.CallExpr)
	made := call.Args[1].(*ast.CallExpr)
	return qualified(made.Args[0].(*ast.ArrayType).Elt)
}

// qualified is a type as package wire has to write it.
func qualified(t ast.Expr) string {
	s := types.ExprString(t)
	if token.IsExported(s) {
		return "kmsg." + s
	}
	return s
}

// text is a simple statement as it is written, for comparison.
func text(stmt ast.Stmt) string {
	switch x := stmt.(type) {
	case *ast.AssignStmt:
		return types.ExprString(x.Lhs[0]) + " " + x.Tok.String() + " " + types.ExprString(x.Rhs[0])
	case *ast.ExprStmt:
		return types.ExprString(x.X)
	case *ast.DeclStmt:
		spec := x.Decl.(*ast.GenDecl).Specs[0].(*ast.ValueSpec)
		return "var " + spec.Names[0].Name + " " + types.ExprString(spec.Type)
	default:
		return fmt.Sprintf("%T", stmt)
	}
}
