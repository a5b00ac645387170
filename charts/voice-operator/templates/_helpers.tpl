{{/* Names, labels and image references, said once. */}}

{{- define "voice-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 52 characters leave room for the suffixes that some objects add. */}}
{{- define "voice-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "voice-operator.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Cluster-scoped objects carry the namespace, so that two releases of the same name never fight over one. */}}
{{- define "voice-operator.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "voice-operator.fullname" .) -}}
{{- end -}}

{{- define "voice-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "voice-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "voice-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "voice-operator.selectorLabels" . }}
app.kubernetes.io/part-of: voice-operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "voice-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "voice-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/*
An image reference. Call with (dict "root" $ "image" .Values.images.operator). A whole reference wins over its parts,
and a digest over a tag.
*/}}
{{- define "voice-operator.image" -}}
{{- if .image.ref -}}
{{- .image.ref -}}
{{- else -}}
{{- $images := .root.Values.images -}}
{{- $name := .image.repository -}}
{{- if $images.registry -}}{{- $name = printf "%s/%s" (trimSuffix "/" $images.registry) $name -}}{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default $images.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secret that holds the object store's keys, under the same name in every namespace that needs it. */}}
{{- define "voice-operator.storageSecretName" -}}
{{- .Values.storage.existingSecret | default (printf "%s-s3" (include "voice-operator.fullname" .)) -}}
{{- end -}}

{{/* Where pods reach the operator; without the cluster domain, which differs between clusters. */}}
{{- define "voice-operator.url" -}}
{{- printf "http://%s.%s.svc:%d" (include "voice-operator.fullname" .) .Release.Namespace (int .Values.service.port) -}}
{{- end -}}

{{/* The namespaces the operator may work in, one per line; empty means all of them. */}}
{{- define "voice-operator.namespaces" -}}
{{- if .Values.watchNamespaces -}}
{{- prepend .Values.watchNamespaces .Release.Namespace | uniq | sortAlpha | join "\n" -}}
{{- end -}}
{{- end -}}

{{/* The spec of the chart's VoiceServer. */}}
{{- define "voice-operator.serverSpec" -}}
base: {{ .Values.serving.base }}
replicas: {{ .Values.serving.replicas }}
{{- with .Values.serving.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What the operator puts on the pods of a VoiceServer. Call with the server's name. */}}
{{- define "voice-operator.serverSelector" -}}
app.kubernetes.io/component: inference
voice.sovits.dev/server: {{ . }}
{{- end -}}

{{/* The port that inference pods listen on. */}}
{{- define "voice-operator.inferencePort" -}}8080{{- end -}}
