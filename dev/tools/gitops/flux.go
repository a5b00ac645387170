package main

import (
	"context"
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// flux is the resource manager of kustomize-controller, under its names.
type flux struct {
	client  client.Client
	manager *ssa.ResourceManager
}

func newFlux(config *rest.Config) (Tool, error) {
	reader, err := client.New(config, client.Options{})
	if err != nil {
		return nil, err
	}
	poller := polling.NewStatusPoller(reader, reader.RESTMapper(), polling.Options{})
	owner := ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"}
	return &flux{reader, ssa.NewResourceManager(reader, poller, owner)}, nil
}

func (f *flux) Apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	f.manager.SetOwnerLabels(objects, "voices", "flux-system")
	_, err := f.manager.ApplyAllStaged(ctx, objects, ssa.DefaultApplyOptions())
	return err
}

func (f *flux) Look(ctx context.Context, object *unstructured.Unstructured) (Result, error) {
	f.manager.SetOwnerLabels([]*unstructured.Unstructured{object}, "voices", "flux-system")
	entry, live, _, err := f.manager.Diff(ctx, object.DeepCopy(), ssa.DefaultDiffOptions())
	if err != nil {
		return Result{}, err
	}
	result := Result{Differs: []string{}}
	if entry.Action != ssa.UnchangedAction {
		result.Differs = append(result.Differs, fmt.Sprintf("%s: %v", entry.Action, live))
	}
	found := object.DeepCopy()
	if err := f.client.Get(ctx, client.ObjectKeyFromObject(object), found); err != nil {
		return Result{}, err
	}
	computed, err := status.Compute(found)
	if err != nil {
		return Result{}, err
	}
	result.Health, result.Message = computed.Status.String(), computed.Message
	return result, nil
}
