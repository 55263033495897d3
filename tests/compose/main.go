// Reads a docker-compose.yml with the library that Docker Compose itself reads it with: fails on unknown
// keys, undefined services and volumes, on images whose version is left to chance, mounts of what is not there,
// services without a health check, and ports that are open to others than this machine.
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
		if service.HealthCheck == nil {
			fail(fmt.Errorf("service %s has no health check", name))
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				fail(fmt.Errorf("service %s: port %s is open to others than this machine", name, port.Published))
			}
		}
		for _, volume := range service.Volumes {
			if volume.Type != "bind" || volume.Source == "/var/run/docker.sock" {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				fail(fmt.Errorf("service %s: %w", name, err))
			}
		}
	}
	fmt.Printf("valid: services %s\n", strings.Join(project.ServiceNames(), ", "))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
