package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/argoproj/gitops-engine/pkg/diff"
	"github.com/argoproj/gitops-engine/pkg/health"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/gitops-engine/pkg/utils/tracing"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2/textlogger"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

const argoManager = "argocd-controller"

// argoCD is gitops-engine with the options of an Application that has ServerSideApply=true.
type argoCD struct {
	config     *rest.Config
	kubectl    kube.Kubectl
	operations kube.ResourceOperations
	options    map[string][]diff.Option
	health     health.HealthOverride
}

func newArgoCD(config *rest.Config) (Tool, error) {
	log, tracer := textlogger.NewLogger(textlogger.NewConfig()), tracing.NopTracer{}
	kubectl := &kube.KubectlCmd{Log: log, Tracer: tracer}
	schema, parser, err := kubectl.LoadOpenAPISchema(config)
	if err != nil {
		return nil, err
	}
	operations, _, err := kubectl.ManageResources(config, schema)
	if err != nil {
		return nil, err
	}
	dryRuns, _, err := kube.ManageServerSideDiffDryRuns(config, schema, tracer, log, nil)
	if err != nil {
		return nil, err
	}
	script, err := os.ReadFile(os.Getenv("ARGOCD_HEALTH"))
	if err != nil {
		return nil, fmt.Errorf("ARGOCD_HEALTH: %w", err)
	}
	always := []diff.Option{diff.WithGVKParser(parser), diff.WithManager(argoManager)}
	return &argoCD{
		config:     config,
		kubectl:    kubectl,
		operations: operations,
		options: map[string][]diff.Option{
			"three-way":               always,
			"structured merge":        append(always, diff.WithStructuredMergeDiff(true)),
			"server-side, by dry run": append(always, diff.WithServerSideDiff(true), diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(dryRuns))),
		},
		health: luaHealth(script),
	}, nil
}

func (a *argoCD) Apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if _, err := a.operations.ApplyResource(ctx, object, cmdutil.DryRunNone, false, true, true, argoManager); err != nil {
			return err
		}
	}
	return nil
}

func (a *argoCD) Look(ctx context.Context, object *unstructured.Unstructured) (Result, error) {
	live, err := a.kubectl.GetResource(ctx, a.config, object.GroupVersionKind(), object.GetName(), object.GetNamespace())
	if err != nil {
		return Result{}, err
	}
	result := Result{Differs: []string{}}
	for how, options := range a.options {
		found, err := diff.Diff(object.DeepCopy(), live.DeepCopy(), options...)
		if err != nil {
			return Result{}, fmt.Errorf("%s: %w", how, err)
		}
		if found.Modified {
			result.Differs = append(result.Differs, fmt.Sprintf("%s: %s instead of %s", how, found.PredictedLive, found.NormalizedLive))
		}
	}
	of, err := health.GetResourceHealth(live, a.health)
	if err != nil {
		return Result{}, err
	}
	if of != nil {
		result.Health, result.Message = string(of.Status), of.Message
	}
	return result, nil
}

// luaHealth is a script of argocd-cm, which Argo CD runs in gopher-lua with the object as `obj`.
type luaHealth []byte

func (script luaHealth) GetResourceHealth(object *unstructured.Unstructured) (*health.HealthStatus, error) {
	state := lua.NewState()
	defer state.Close()
	state.SetGlobal("obj", luaValue(state, object.Object))
	if err := state.DoString(string(script)); err != nil {
		return nil, err
	}
	answer, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("the health script returned no table")
	}
	return &health.HealthStatus{
		Status:  health.HealthStatusCode(lua.LVAsString(answer.RawGetString("status"))),
		Message: lua.LVAsString(answer.RawGetString("message")),
	}, nil
}

// luaValue turns what JSON can say into what Lua can.
func luaValue(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for name, one := range value {
			table.RawSetString(name, luaValue(state, one))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, one := range value {
			table.Append(luaValue(state, one))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case nil:
		return lua.LNil
	}
	var number float64
	text, _ := json.Marshal(value)
	if json.Unmarshal(text, &number) != nil {
		return lua.LNil
	}
	return lua.LNumber(number)
}
