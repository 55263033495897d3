// Builds each folder with the library of Kustomize, and holds every object against the schemas that the API server itself publishes (they are in
// the Go module k8s.io/kubernetes; KEDA's are in its own): fails on unknown fields, wrong types and missing ones, and on names that lead nowhere.
package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	kubernetes = "k8s.io/kubernetes@v1.34.2"
	keda       = "github.com/kedacore/keda/v2@v2.18.1"
)

type object = map[string]any

func main() {
	schemas := schemas{folder: module(kubernetes), keda: module(keda), compiled: map[string]*jsonschema.Schema{}}
	for _, folder := range os.Args[1:] {
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
		check(folder, err)
		var objects []object
		for _, resource := range built.Resources() {
			text, err := resource.AsYAML()
			check(folder, err)
			var found object
			check(folder, yaml.Unmarshal(text, &found))
			name := fmt.Sprintf("%s: %s %s", folder, resource.GetKind(), resource.GetName())
			check(name, schemas.of(found).Validate(found))
			for _, trigger := range list(found, "spec", "triggers") {
				check(name, schemas.trigger(trigger))
			}
			objects = append(objects, found)
		}
		for _, problem := range problems(objects) {
			check(folder, fmt.Errorf("%s", problem))
		}
		fmt.Printf("valid: %s, %d objects\n", folder, len(objects))
	}
}

func check(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

// module fetches a Go module, and returns its folder.
func module(name string) string {
	out, err := exec.Command("go", "mod", "download", "-json", name).Output()
	check(name, err)
	var found struct{ Dir string }
	check(name, json.Unmarshal(out, &found))
	return found.Dir
}

type schemas struct {
	folder, keda string
	compiled     map[string]*jsonschema.Schema
}

// of is the schema for an object's version and kind.
func (s *schemas) of(of object) *jsonschema.Schema {
	version, kind := of["apiVersion"].(string), of["kind"].(string)
	name := version + " " + kind
	if s.compiled[name] == nil {
		group, number, grouped := strings.Cut(version, "/")
		switch {
		case group == "keda.sh":
			s.compiled[name] = s.ofResource("keda.sh_" + strings.ToLower(kind) + "s.yaml")
		case grouped:
			s.compiled[name] = s.ofServer("apis__"+group+"__"+number+"_openapi.json", group, number, kind)
		default:
			s.compiled[name] = s.ofServer("api__"+version+"_openapi.json", "", version, kind)
		}
	}
	return s.compiled[name]
}

// ofServer is one of the schemas that the API server publishes.
func (s *schemas) ofServer(file, group, version, kind string) *jsonschema.Schema {
	text, err := os.ReadFile(filepath.Join(s.folder, "api", "openapi-spec", "v3", file))
	check(file, err)
	var document object
	check(file, json.Unmarshal(text, &document))
	for name, schema := range document["components"].(object)["schemas"].(object) {
		kinds, _ := schema.(object)["x-kubernetes-group-version-kind"].([]any)
		for _, of := range kinds {
			of := of.(object)
			if of["group"] == group && of["version"] == version && of["kind"] == kind {
				return compile(file, document, "#/components/schemas/"+name)
			}
		}
	}
	check(file, fmt.Errorf("there is no kind %s", kind))
	return nil
}

// ofResource is the schema of a custom resource.
func (s *schemas) ofResource(file string) *jsonschema.Schema {
	text, err := os.ReadFile(filepath.Join(s.keda, "config", "crd", "bases", file))
	check(file, err)
	var definition object
	check(file, yaml.Unmarshal(text, &definition))
	version := definition["spec"].(object)["versions"].([]any)[0].(object)
	return compile(file, version["schema"].(object)["openAPIV3Schema"], "")
}

// trigger says whether KEDA has a scaler of that type, and whether its code knows the names that it is given.
func (s *schemas) trigger(of any) error {
	builder, err := os.ReadFile(filepath.Join(s.keda, "pkg", "scaling", "scalers_builder.go"))
	check("KEDA's scalers", err)
	_, after, known := strings.Cut(string(builder), fmt.Sprintf("case %q:", at(of, "type")))
	if !known {
		return fmt.Errorf("KEDA has no scaler %v", at(of, "type"))
	}
	_, after, _ = strings.Cut(after, "scalers.New")
	constructor, _, _ := strings.Cut(after, "(")
	files, err := filepath.Glob(filepath.Join(s.keda, "pkg", "scalers", "*.go"))
	check("KEDA's scalers", err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(file, err)
		if !strings.Contains(string(text), "func New"+constructor+"(") {
			continue
		}
		for name := range at(of, "metadata").(object) {
			if !regexp.MustCompile("name=" + regexp.QuoteMeta(name) + "[,;\"]").Match(text) {
				return fmt.Errorf("KEDA's scaler %v has no setting %s", at(of, "type"), name)
			}
		}
		return nil
	}
	return fmt.Errorf("the code of KEDA's scaler %v was not found", at(of, "type"))
}

func compile(file string, document any, place string) *jsonschema.Schema {
	forbidUnknown(document)
	compiler := jsonschema.NewCompiler()
	check(file, compiler.AddResource(file, document))
	schema, err := compiler.Compile(file + place)
	check(file, err)
	return schema
}

// forbidUnknown has every object with fields refuse others, as the API server does with strict validation.
func forbidUnknown(schema any) {
	switch schema := schema.(type) {
	case object:
		_, fields := schema["properties"].(object)
		_, more := schema["additionalProperties"]
		if fields && !more && schema["x-kubernetes-preserve-unknown-fields"] != true {
			schema["additionalProperties"] = false
		}
		for _, inner := range schema {
			forbidUnknown(inner)
		}
	case []any:
		for _, inner := range schema {
			forbidUnknown(inner)
		}
	}
}

// at is what is at that path; nothing where there is none.
func at(of any, path ...string) any {
	for _, name := range path {
		fields, _ := of.(object)
		of = fields[name]
	}
	return of
}

func list(of any, path ...string) []any {
	found, _ := at(of, path...).([]any)
	return found
}

// holds says whether all of these labels are among those.
func holds(labels, wanted any) bool {
	for name, value := range wanted.(object) {
		if at(labels, name) != value {
			return false
		}
	}
	return true
}

// address is where a trigger has KEDA ask.
func address(trigger any) string {
	if place, named := at(trigger, "metadata", "scalerAddress").(string); named {
		return place
	}
	place, err := url.Parse(fmt.Sprint(at(trigger, "metadata", "url")))
	check("a trigger's address", err)
	return place.Host
}

// problems finds names that lead nowhere, and what a careful cluster refuses.
func problems(objects []object) (found []string) {
	names, ports := map[string]bool{}, map[string]bool{}
	var pods []object
	for _, of := range objects {
		names[fmt.Sprint(of["kind"], " ", at(of, "metadata", "name"))] = true
		if of["kind"] == "Deployment" {
			pods = append(pods, at(of, "spec", "template").(object))
		}
		for _, port := range list(of, "spec", "ports") {
			host := fmt.Sprintf("%s.%s.svc.cluster.local", at(of, "metadata", "name"), at(of, "metadata", "namespace"))
			ports[fmt.Sprint(host, ":", at(port, "port"))] = of["kind"] == "Service"
		}
	}
	say := func(of object, format string, more ...any) {
		found = append(found, fmt.Sprintf("%s %s: ", of["kind"], at(of, "metadata", "name"))+fmt.Sprintf(format, more...))
	}
	selected := func(selector any) (found []object) {
		for _, pod := range pods {
			if holds(at(pod, "metadata", "labels"), selector) {
				found = append(found, pod)
			}
		}
		return found
	}
	for _, of := range objects {
		switch of["kind"] {
		case "Deployment":
			pod := at(of, "spec", "template").(object)
			if !holds(at(pod, "metadata", "labels"), at(of, "spec", "selector", "matchLabels")) {
				say(of, "it does not select its own pods")
			}
			for _, volume := range list(pod, "spec", "volumes") {
				if name := at(volume, "configMap", "name"); name != nil && !names[fmt.Sprint("ConfigMap ", name)] {
					say(of, "there is no config map %s", name)
				}
			}
			for _, container := range list(pod, "spec", "containers") {
				for _, from := range list(container, "envFrom") {
					if name := at(from, "configMapRef", "name"); !names[fmt.Sprint("ConfigMap ", name)] {
						say(of, "there is no config map %s", name)
					}
				}
				if _, tag, tagged := strings.Cut(at(container, "image").(string), ":"); !tagged || tag == "latest" {
					say(of, "its image has no version")
				}
				if at(container, "resources", "limits", "memory") == nil {
					say(of, "it may take any memory")
				}
				ports := map[any]bool{}
				for _, port := range list(container, "ports") {
					ports[at(port, "name")] = true
				}
				for _, probe := range []string{"readinessProbe", "livenessProbe"} {
					if port := at(container, probe, "httpGet", "port"); !ports[port] {
						say(of, "its %s is at no port of its own: %v", probe, port)
					}
				}
			}
		case "Service":
			for _, port := range list(of, "spec", "ports") {
				is := false
				for _, pod := range selected(at(of, "spec", "selector")) {
					for _, container := range list(pod, "spec", "containers") {
						for _, known := range list(container, "ports") {
							is = is || at(known, "name") == at(port, "targetPort")
						}
					}
				}
				if !is {
					say(of, "no pod has the port %v", at(port, "targetPort"))
				}
			}
		case "PodDisruptionBudget":
			if len(selected(at(of, "spec", "selector", "matchLabels"))) == 0 {
				say(of, "it selects no pod")
			}
		case "NetworkPolicy":
			if labels := at(of, "spec", "podSelector", "matchLabels"); labels != nil && len(selected(labels)) == 0 {
				say(of, "it selects no pod")
			}
		case "ScaledObject", "HorizontalPodAutoscaler":
			if name := at(of, "spec", "scaleTargetRef", "name"); !names[fmt.Sprint("Deployment ", name)] {
				say(of, "there is no deployment %v", name)
			}
			for _, trigger := range list(of, "spec", "triggers") {
				if place := address(trigger); !ports[place] {
					say(of, "no service is at %q", place)
				}
			}
		}
	}
	return found
}
