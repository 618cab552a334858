// Package timeline keeps state that is ahead of what is committed: maps and values that can be read as they were at an earlier mark, and go back to it.
//
// A coordinator applies records when they are appended, and answers readers from the state as of the high watermark; a failed append takes the state back to
// it. The current state costs what a Go map costs. Behind it, each mark that is still kept holds only what was overwritten since.
//
// Nothing here is safe for concurrent use. Values are replaced, never changed in place: a value that was read at a mark is the reader's to keep.
package timeline
