// Program gitops does what Argo CD and Flux do with manifests, by their own libraries: it applies them, compares
// them with what the API server has, and tells the health of each.
//
//	gitops argocd|flux apply|diff < manifests.yaml
//
// KUBECONFIG says where; ARGOCD_HEALTH names the Lua script of Argo CD's custom health check. It prints a JSON list.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Result is what a tool says of one object.
type Result struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Health string `json:"health"`
	// Message is the health's.
	Message string `json:"message"`
	// Differs has a line for each way of comparing that found a difference.
	Differs []string `json:"differs"`
}

// Tool applies and compares as one of the two does.
type Tool interface {
	Apply(ctx context.Context, objects []*unstructured.Unstructured) error
	// Look compares an object with the live one, and tells its health.
	Look(ctx context.Context, object *unstructured.Unstructured) (Result, error)
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
}

func run(arguments []string, manifests io.Reader, out io.Writer) error {
	if len(arguments) != 2 {
		return fmt.Errorf("usage: gitops argocd|flux apply|diff < manifests.yaml")
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	tools := map[string]func(*rest.Config) (Tool, error){"argocd": newArgoCD, "flux": newFlux}
	create, known := tools[arguments[0]]
	if !known {
		return fmt.Errorf("unknown tool %q: argocd or flux", arguments[0])
	}
	tool, err := create(config)
	if err != nil {
		return err
	}
	objects, err := utils.ReadObjects(manifests)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if arguments[1] == "apply" {
		if err := tool.Apply(ctx, objects); err != nil {
			return err
		}
	}
	results := []Result{}
	for _, object := range objects {
		result, err := tool.Look(ctx, object)
		if err != nil {
			return err
		}
		result.Kind, result.Name = object.GetKind(), object.GetName()
		results = append(results, result)
	}
	return json.NewEncoder(out).Encode(results)
}
