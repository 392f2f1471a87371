// Runs Lua scripts as Argo CD does: the same interpreter, the same few libraries, one second, the resource in `obj`.
// A request a line on standard input, an answer a line on standard output, both JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

// Argo CD gives a script so long.
const deadline = time.Second

// Longest request, bytes.
const most = 16 << 20

type request struct {
	Script string         `json:"script"`
	Object map[string]any `json:"object"`
	// Whether Lua's whole library is there, as it is for the scripts that Argo CD ships. Those of argocd-cm have less.
	OpenLibs bool `json:"openLibs"`
}

type answer struct {
	// What the script returned, as Argo CD's JSON of it: an empty table is an empty list.
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

func main() {
	requests := bufio.NewScanner(os.Stdin)
	requests.Buffer(make([]byte, 0, 64<<10), most)
	answers := json.NewEncoder(os.Stdout)
	for requests.Scan() {
		result, err := serve(requests.Bytes())
		said := answer{Result: result}
		if err != nil {
			said = answer{Error: err.Error()}
		}
		if err := answers.Encode(said); err != nil {
			fail(err)
		}
	}
	if err := requests.Err(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func serve(line []byte) (json.RawMessage, error) {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return nil, fmt.Errorf("not a request: %w", err)
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: !asked.OpenLibs})
	defer state.Close()
	if err := open(state, asked.OpenLibs); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", luajson.DecodeValue(state, asked.Object))
	if err := state.DoString(asked.Script); err != nil {
		var failure *lua.ApiError
		if errors.As(err, &failure) {
			return nil, errors.New(failure.Object.String())
		}
		return nil, err
	}
	returned := state.Get(-1)
	if returned.Type() != lua.LTTable {
		return nil, fmt.Errorf("the script returned no table but %s", returned.Type())
	}
	return luajson.Encode(returned)
}

// What every script has: `require`, the basic functions, `table`, and of `os` what tells the time, by require("os").
func open(state *lua.LState, libraries bool) error {
	if libraries {
		return nil // NewState has opened all.
	}
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.OsLibName, lua.OpenOs},
	} {
		call := lua.P{Fn: state.NewFunction(library.open), Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return err
		}
	}
	// The rest of `os` ends processes and reads files.
	whole := state.GetGlobal(lua.OsLibName)
	state.SetGlobal(lua.OsLibName, lua.LNil)
	state.SetField(state.GetField(state.GetGlobal(lua.LoadLibName), "loaded"), lua.OsLibName, lua.LNil)
	state.PreloadModule(lua.OsLibName, func(state *lua.LState) int {
		told := state.NewTable()
		for _, name := range []string{"time", "date"} {
			told.RawSetString(name, state.GetField(whole, name))
		}
		state.Push(told)
		return 1
	})
	return nil
}
