{{/* Expressions of the admission policies (CEL), made from the values that the operator reads as well. */}}

{{/* Prefixes of the request's namespace: exceptions first. Call with (dict "root" $ "name" "datasets"). */}}
{{- define "voice-operator.celPrefixes" -}}
{{- $storage := trimSuffix "/" .root.Values.storage.uri -}}
{{- $name := .name -}}
{{- $special := dict -}}
{{- range $namespace, $lists := .root.Values.tenancy.namespaces -}}
{{- if hasKey $lists $name -}}{{- $_ := set $special $namespace (get $lists $name) -}}{{- end -}}
{{- end -}}
{{- $default := get .root.Values.tenancy $name | default list | toJson -}}
({{ if $special }}request.namespace in {{ toJson $special }} ? {{ toJson $special }}[request.namespace] : {{ end }}{{ $default }})
.map(p, p.replace('{storage}', {{ toJson $storage }}).replace('{namespace}', request.namespace))
{{- end -}}

{{/* Whether an address lies below a prefix p, segment by segment. Call with the address. */}}
{{- define "voice-operator.celBelow" -}}
(p in ['s3://', 'https://'] ? {{ . }}.startsWith(p)
: {{ . }}.matches('^(s3|https)://([^/%?#\\\\]+/)*[^/%?#\\\\]*$') && !{{ . }}.matches('/[.][.]?(/|$)')
&& ({{ . }}.endsWith('/') ? {{ . }} : {{ . }} + '/').startsWith(p.endsWith('/') ? p : p + '/'))
{{- end -}}

{{/*
Names that the request's namespace may use: its exception, else what tenancy gives, else the default, a CEL list.
Call with (dict "root" $ "name" "bases" "default" "[]").
*/}}
{{- define "voice-operator.celNames" -}}
{{- $name := .name -}}
{{- $special := dict -}}
{{- range $namespace, $lists := .root.Values.tenancy.namespaces -}}
{{- if hasKey $lists $name -}}{{- $_ := set $special $namespace (get $lists $name) -}}{{- end -}}
{{- end -}}
{{- $default := .default -}}
{{- if hasKey .root.Values.tenancy $name -}}{{- $default = get .root.Values.tenancy $name | toJson -}}{{- end -}}
({{ if $special }}request.namespace in {{ toJson $special }} ? {{ toJson $special }}[request.namespace] : {{ end }}{{ $default }})
{{- end -}}

{{- define "voice-operator.celBases" -}}
{{- include "voice-operator.celNames" (dict "root" . "name" "bases" "default" (keys .Values.bases | sortAlpha | toJson)) -}}
{{- end -}}

{{/* Languages that are recognised: the trainer's own, and those of the installation's recogniser. */}}
{{- define "voice-operator.recognised" -}}
{{- $own := list "en" -}}
{{- if .Values.recogniser.uri -}}{{- $own = concat $own .Values.recogniser.languages | uniq -}}{{- end -}}
{{ toJson $own }}
{{- end -}}

{{/* Whether tenancy has lists of a name. Call with (dict "root" $ "name" "bases"). */}}
{{- define "voice-operator.hasNames" -}}
{{- $name := .name -}}
{{- $found := hasKey .root.Values.tenancy $name -}}
{{- range .root.Values.tenancy.namespaces -}}{{- if hasKey . $name -}}{{- $found = true -}}{{- end -}}{{- end -}}
{{- if $found -}}true{{- end -}}
{{- end -}}

{{/*
A field and its maximum. An update that leaves the field as it was is admitted: whatever the policy says, a consent can be revoked.
Call with (dict "field" "spec.x" "value" "spec.?x.orValue(1)" "most" 1 "name" "x"); "compare" turns a value into a comparable one.
*/}}
{{- define "voice-operator.celMaximum" -}}
{{- $compare := .compare | default "int" }}
- expression: >-
    (request.operation == 'UPDATE' && oldObject.{{ .value }} == object.{{ .value }})
    || {{ $compare }}(object.{{ .value }}) <= {{ $compare }}({{ if eq $compare "duration" }}{{ .most | squote }}{{ else }}{{ int .most }}{{ end }})
  messageExpression: >-
    '{{ .field }} is ' + string(object.{{ .value }}) + ', but at most {{ .most }} is allowed (chart value policy.max.{{ .name }})'
  reason: Forbidden
{{- end -}}
