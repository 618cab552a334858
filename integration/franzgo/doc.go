// Package franzgo runs franz-go's own integration tests, compiled unchanged from its module, against a node.
//
// The suite is built only with the tag "franzgo": make franz-go. testdata/left_out.txt names the tests that are not run, each with its reason.
package franzgo
