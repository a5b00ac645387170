{{/* The operator's configuration, as voice_operator.settings reads it; that reader refuses keys that it does not know. */}}
{{- define "voice-operator.config" -}}
{{- $images := .Values.images -}}
images:
  trainer: {{ include "voice-operator.image" (dict "root" $ "image" $images.trainer) | quote }}
  inference: {{ include "voice-operator.image" (dict "root" $ "image" $images.inference) | quote }}
  pullPolicy: {{ $images.pullPolicy }}
  pullSecrets: {{ toJson $images.pullSecrets }}
bases:
  {{- toYaml .Values.bases | nindent 2 }}
storage:
  uri: {{ .Values.storage.uri | quote }}
  secretName: {{ include "voice-operator.storageSecretName" . | quote }}
stages:
  {{- toYaml .Values.stages | nindent 2 }}
inference:
  port: {{ include "voice-operator.inferencePort" . }}
  {{- toYaml .Values.inference | nindent 2 }}
{{- if .Values.serving.create }}
defaultServer:
  namespace: {{ .Release.Namespace | quote }}
  name: {{ .Values.serving.name | quote }}
{{- end }}
watchNamespaces: {{ include "voice-operator.namespaces" . | splitList "\n" | compact | toJson }}
operatorUrl: {{ include "voice-operator.url" . | quote }}
workers: {{ .Values.operator.workers }}
resyncSeconds: {{ .Values.operator.resyncSeconds }}
{{- end -}}
