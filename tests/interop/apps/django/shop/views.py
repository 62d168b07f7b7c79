"""The project's own pages; signing in and out are Django's."""

from django.contrib.auth.decorators import login_required
from django.http import JsonResponse
from django.shortcuts import render


@login_required(login_url="/login")
def home(request):
    return render(request, "home.html")


def whoami(request):
    user = request.user.get_username() or None
    return JsonResponse({"user": user, "header": request.headers.get("X-Auth-User")})
