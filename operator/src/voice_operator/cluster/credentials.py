"""Credentials for the API server: the pod's service account, else the kubeconfig. Requests and watches use the same."""

import kopf
import yaml

from voice_operator.errors import ClusterError


def load_credentials() -> kopf.ConnectionInfo:
    """Read the credentials from their files; a service account's token is replaced by the kubelet from time to time.

    A kubeconfig may contain certificates, a token or a password; exec plugins are not run.

    Raises:
        ClusterError: there is neither a service account nor a usable kubeconfig.
    """
    settings = kopf.OperatorSettings()
    try:
        found = kopf.login_with_service_account(settings=settings) or kopf.login_with_kubeconfig(settings=settings)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, kopf.LoginError) as error:
        raise _no_credentials(f"{type(error).__name__}: {error}") from error
    if found is None:
        raise _no_credentials("KUBECONFIG is not set and ~/.kube/config does not exist")
    return found


def _no_credentials(detail: str) -> ClusterError:
    message = f"no service account and no usable KUBECONFIG: {detail}"
    return ClusterError("connecting to the API server", reason="NoCredentials", message=message)
