package main

import "fmt"

// request, structure and field mirror package wire's tables, as a tree.

type request struct {
	name                 string
	maxVersion, flexible int16
	root                 *structure // nil: no such key
}

type structure struct {
	fields []*field
	plain  bool // an array's element that is no struct
}

type field struct {
	kind           string // name of wire's constant
	from, to, null int    // versions
	tag            int    // -1: none
	size           string // Go expression
	sub            *structure
}

const always = 127 // wire's

func newField(kind, size string) *field {
	return &field{kind: kind, to: always, null: always, tag: -1, size: size}
}

// sizeOf is a constant expression for what a value of one of kmsg's types takes in memory.
func sizeOf(goType string) string { return fmt.Sprintf("uint16(unsafe.Sizeof(*new(%s)))", goType) }
