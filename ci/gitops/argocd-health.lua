-- Health of a VoiceModel for Argo CD: resource.customizations.health.voice.sovits.dev_VoiceModel of the ConfigMap argocd-cm.
local found = {}
local status = obj.status or {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end
local ready, stalled = found.Ready, found.Stalled
if ready == nil or status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "the operator has not seen this spec yet"}
end
if ready.status == "True" then
  return {status = "Healthy", message = ready.message}
end
if stalled ~= nil and stalled.status == "True" then
  return {status = "Degraded", message = stalled.reason .. ": " .. stalled.message}
end
if status.phase == "AwaitingReview" or status.phase == "Suspended" or status.phase == "Unused" then
  return {status = "Suspended", message = ready.message}
end
return {status = "Progressing", message = ready.message}
