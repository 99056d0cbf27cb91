package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Of returns the schema of T; for []byte that is [Bytes]. It is made once per type, and costs a map look-up afterwards.
//
// A type that cannot lie in shared memory is an error that names the field and what to take instead.
func Of[T any]() (*Schema, error) { return OfType(reflect.TypeFor[T]()) }

// OfType is [Of] for a type that is known at run time only.
func OfType(t reflect.Type) (*Schema, error) {
	if t == reflect.TypeFor[[]byte]() {
		return Bytes, nil
	}
	r, found := made.Load(t)
	if !found {
		s, err := reflected(t)
		r, _ = made.LoadOrStore(t, result{s, err})
	}
	return r.(result).schema, r.(result).err
}

// made holds a result for every type that has been asked for.
var made sync.Map // reflect.Type to result

type result struct {
	schema *Schema
	err    error
}

func reflected(t reflect.Type) (*Schema, error) {
	if t == nil {
		return nil, errors.New("schema: no type (reflect.TypeOf of a nil interface)")
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, fmt.Errorf("schema: %v: values are little-endian, this machine is not: %w", t, errors.ErrUnsupported)
	}
	root, err := typeOf(t, false)
	if err != nil {
		switch name := t.Name(); {
		case name != "":
			err = within(name, err)
		case t.Kind() == reflect.Array:
			err = within(t.String(), err)
		}
		return nil, fmt.Errorf("schema: %w", err)
	}
	s, err := newSchema(root)
	if err != nil {
		return nil, fmt.Errorf("schema: %v: %w", t, err)
	}
	return s, nil
}

// reflectKinds are the kinds of reflect that have a fixed width.
var reflectKinds = map[reflect.Kind]Kind{
	reflect.Bool: Bool, reflect.Int8: Int8, reflect.Int16: Int16, reflect.Int32: Int32, reflect.Int64: Int64,
	reflect.Uint8: Uint8, reflect.Uint16: Uint16, reflect.Uint32: Uint32, reflect.Uint64: Uint64,
	reflect.Float32: Float32, reflect.Float64: Float64, reflect.Complex64: Complex64, reflect.Complex128: Complex128,
}

// typeOf returns the type of t; text says that bytes in it are text.
func typeOf(t reflect.Type, text bool) (*Type, error) {
	switch t.Kind() {
	case reflect.Array:
		elem, err := typeOf(t.Elem(), text)
		if err != nil {
			return nil, within("[]", err)
		}
		array, err := arrayOf(t.Len(), elem)
		return array, at(err)
	case reflect.Struct:
		return structTypeOf(t)
	}
	kind, ok := reflectKinds[t.Kind()]
	if !ok {
		return nil, refuse(t)
	}
	if text && kind == Uint8 {
		kind = Char
	}
	if p := &kinds[kind].plain; t.Align() == p.Align && int(t.Size()) == p.Size {
		return p, nil
	}
	return nil, at(fmt.Errorf("%v has alignment %d on this machine, and not %d: %w", t, t.Align(), kinds[kind].plain.Align,
		errors.ErrUnsupported))
}

// structTypeOf returns the type of a struct.
func structTypeOf(t reflect.Type) (*Type, error) {
	var fields []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Name == "_" {
			if err := checkPadding(sf.Type); err != nil {
				return nil, within("_", err)
			}
			continue
		}
		name, text, err := tagOf(sf)
		if err != nil {
			return nil, within(sf.Name, at(err))
		}
		if sf.Type.Size() == 0 {
			return nil, within(sf.Name, at(fmt.Errorf("%v takes no room; name the field _, or remove it", sf.Type)))
		}
		ft, err := typeOf(sf.Type, text)
		if err != nil {
			return nil, within(sf.Name, err)
		}
		fields = append(fields, Field{Name: name, Offset: int(sf.Offset), Type: ft})
	}
	if len(fields) == 0 {
		return nil, at(errors.New("no field has a name: as a field it can be padding, with the name _; " +
			"as a message it says nothing: use []byte, which may be empty"))
	}
	s, err := structOf(int(t.Size()), t.Align(), fields)
	return s, at(err)
}

// tagOf reads the tag of a field.
func tagOf(sf reflect.StructField) (name string, text bool, err error) {
	tag := sf.Tag.Get("shoal")
	name, option, _ := strings.Cut(tag, ",")
	if name == "" {
		name = sf.Name
	}
	if err := checkName(name); err != nil {
		return "", false, fmt.Errorf("%w; give it one with the tag `shoal:\"name\"`", err)
	}
	switch option {
	case "":
		return name, false, nil
	case "text":
	default:
		return "", false, fmt.Errorf("the tag `shoal:%q` has the option %q; only text is known", tag, option)
	}
	elem := sf.Type
	for elem.Kind() == reflect.Array {
		elem = elem.Elem()
	}
	if sf.Type.Kind() != reflect.Array || elem.Kind() != reflect.Uint8 {
		return "", false, fmt.Errorf("the tag `shoal:%q` is for [N]byte, not for %v", tag, sf.Type)
	}
	return name, true, nil
}

// checkPadding refuses a blank field that holds pointers: the collector would follow what other processes write there.
func checkPadding(t reflect.Type) error {
	if t.Size() == 0 {
		return nil
	}
	switch t.Kind() {
	case reflect.Array:
		return within("[]", checkPadding(t.Elem()))
	case reflect.Struct:
		for i := range t.NumField() {
			if err := checkPadding(t.Field(i).Type); err != nil {
				return within(t.Field(i).Name, err)
			}
		}
		return nil
	}
	if _, ok := reflectKinds[t.Kind()]; ok {
		return nil
	}
	return refuse(t)
}

// refuse is the error of a type that cannot lie in shared memory, with advice.
func refuse(t reflect.Type) error {
	var why string
	switch t.Kind() {
	case reflect.Int:
		why = "has not the same size everywhere; use int64 or int32"
	case reflect.Uint:
		why = "has not the same size everywhere; use uint64 or uint32"
	case reflect.Uintptr:
		why = "is an address, which means nothing in another process; use a uint64 offset"
	case reflect.String:
		why = "points to memory of this process; use [N]byte, with the tag `shoal:\",text\"`"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			why = "points to memory of this process; use [N]byte and a length, or []byte itself as the type of messages"
		} else {
			why = fmt.Sprintf("points to memory of this process; use an array [N]%v and a count", t.Elem())
		}
	case reflect.Pointer:
		why = fmt.Sprintf("points to memory of this process; use %v itself, or an index", t.Elem())
	case reflect.UnsafePointer:
		why = "points to memory of this process; use a uint64 offset"
	case reflect.Map:
		why = "points to memory of this process; use an array of structs"
	case reflect.Interface:
		why = "points to memory of this process; use one concrete type"
	default: // chan and func
		why = "belongs to this process alone; remove it"
	}
	return at(fmt.Errorf("%v %s", t, why))
}
