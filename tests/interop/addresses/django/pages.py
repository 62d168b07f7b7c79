"""Two pages: with a slash at the end as Django's guide writes them, with a locale and with a format."""

from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path, re_path

settings.configure(
    ALLOWED_HOSTS=["*"],
    LANGUAGES=[("en", "English"), ("de", "German")],
    MIDDLEWARE=[
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only-for-this-test-0123456789abcdef",
)


def account(request, format=None):
    token = request.headers.get("X-Page-Token", "")
    return HttpResponse(f"the guarded page, token=[{token}]")


def home(request):
    return HttpResponse("open to all")


urlpatterns = [
    path("", home),
    re_path(r"^report(\.(?P<format>json|html))?$", account),
] + i18n_patterns(path("account/", account), prefix_default_language=False)

application = get_wsgi_application()
