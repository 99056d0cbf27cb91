package schema

// A pathError is an error in some part of a type or value. Those who return it through an outer part put that part's
// name in front, so that a path costs nothing where all is well.
type pathError struct {
	path string // "Levels[3].Price"; "" for the whole
	err  error
}

func (e *pathError) Error() string {
	if e.path == "" {
		return e.err.Error()
	}
	return e.path + ": " + e.err.Error()
}

func (e *pathError) Unwrap() error { return e.err }

// at makes err the start of a path; nil stays nil.
func at(err error) error {
	if err == nil {
		return nil
	}
	return &pathError{err: err}
}

// within puts the name of a field, or an index with its brackets, in front of the path of err; nil stays nil.
func within(part string, err error) error {
	if err == nil {
		return nil
	}
	e := err.(*pathError)
	if e.path != "" && e.path[0] != '[' {
		part += "."
	}
	e.path = part + e.path
	return e
}
