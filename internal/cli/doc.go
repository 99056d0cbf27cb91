// Package cli is the shoal command: shared memory from the shell.
//
// Rules that every verb keeps: data goes to standard output, words to standard
// error; --json prints one object a line; tables fit the terminal, and colour
// appears on one alone, unless NO_COLOR is set; what destroys says what it did,
// and where it chooses its victims itself it asks, or wants --yes where nobody
// can be asked. Text from outside, names of objects and processes, never reaches
// a terminal unescaped.
//
// Exit codes are in [Code].
package cli
