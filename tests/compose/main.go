// Reads a docker-compose.yml with the library that Docker Compose itself reads it with: fails on unknown
// keys, undefined services and volumes, and on images whose version is left to chance.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(os.Args[1:], cli.WithInterpolation(true), cli.WithResolvedPaths(true))
	if err != nil {
		fail(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		fail(err)
	}
	for name, service := range project.Services {
		if _, tag, found := strings.Cut(service.Image, ":"); !found || tag == "latest" {
			fail(fmt.Errorf("service %s: the image %q has no version", name, service.Image))
		}
	}
	fmt.Printf("valid: services %s\n", strings.Join(project.ServiceNames(), ", "))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
