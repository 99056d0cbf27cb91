package cli

import (
	"strings"
	"testing"

	"github.com/charmbracelet/lipgloss"
)

func TestTable(t *testing.T) {
	plain := lipgloss.NewStyle()
	tab := table{columns: []column{
		{title: "NAME", cut: 10}, {title: "N", right: true}, {title: "KIND", missing: 2}, {title: "MODE", missing: 1}, {title: "WHY", wrap: true, cut: 8},
	}}
	tab.add(cell{"/short", plain}, cell{"1", plain}, cell{"memory", plain}, cell{"0600", plain}, cell{"because", plain})
	tab.add(cell{"/日本語日本語", plain}, cell{"1000", plain}, cell{"", plain}, cell{"0600", plain}, cell{"for many words of reasons", plain})
	for width, want := range map[int]string{
		0: "" +
			"NAME              N  KIND    MODE  WHY\n" +
			"/short            1  memory  0600  because\n" +
			"/日本語日本語  1000          0600  for many words of reasons\n",
		40: "" +
			"NAME           N  KIND    MODE  WHY\n" +
			"/short         1  memory  0600  because\n" +
			"/日本語日…  1000          0600  for many\n" +
			"                                words of\n" +
			"                                reasons\n",
		34: "" +
			"NAME           N  MODE  WHY\n" +
			"/short         1  0600  because\n" +
			"/日本語日…  1000  0600  for many\n" +
			"                        words of\n" +
			"                        reasons\n",
		26: "" +
			"NAME           N  WHY\n" +
			"/short         1  because\n" +
			"/日本語日…  1000  for many\n" +
			"                  words of\n" +
			"                  reasons\n",
		24: "" +
			"NAME         N  WHY\n" +
			"/short       1  because\n" +
			"/日本語…  1000  for many\n" +
			"                words of\n" +
			"                reasons\n",
	} {
		var out strings.Builder
		if err := tab.print(&out, width, plain); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%d columns:\n%swant:\n%s", width, out.String(), want)
		}
	}
}
