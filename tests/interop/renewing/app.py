"""Apps that set their session anew at each request: Django, Flask and Starlette, as FRAMEWORK says."""

import os
import time

SECRET, FRAMEWORK = os.environ["SECRET"], os.environ["FRAMEWORK"]


def django_app():
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import JsonResponse
    from django.urls import path

    def sign_in(request):
        request.session["_auth_user_id"] = request.GET["user"]
        return JsonResponse({})

    def sign_out(request):
        request.session.flush()
        return JsonResponse({})

    def poll(request):
        return JsonResponse({"user": request.session.get("_auth_user_id")})

    settings.configure(
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        ROOT_URLCONF=type("urls", (), {"urlpatterns": [
            path("sign-in", sign_in), path("sign-out", sign_out), path("poll", poll),
        ]}),
        SECRET_KEY=SECRET,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        SESSION_SAVE_EVERY_REQUEST=True,
    )
    django.setup()
    return get_wsgi_application()


def flask_app():
    from flask import Flask, jsonify, request, session

    app = Flask("shop")
    app.secret_key = SECRET

    @app.get("/sign-in")
    def sign_in():
        # Set again at each request: SESSION_REFRESH_EACH_REQUEST is the default.
        session.permanent = True
        session["_user_id"] = request.args["user"]
        return jsonify()

    @app.post("/sign-out")
    def sign_out():
        session.clear()
        return jsonify()

    @app.get("/poll")
    def poll():
        return jsonify(user=session.get("_user_id"))

    return app


def starlette_app():
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.sessions import SessionMiddleware
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def sign_in(request):
        request.session["user_id"] = request.query_params["user"]
        return JSONResponse({})

    async def sign_out(request):
        request.session.clear()
        return JSONResponse({})

    async def poll(request):
        if "user_id" in request.session:
            request.session["seen"] = time.time()
        return JSONResponse({"user": request.session.get("user_id")})

    routes = [Route("/sign-in", sign_in), Route("/sign-out", sign_out, methods=["POST"]), Route("/poll", poll)]
    return Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, secret_key=SECRET)])


app = {"django": django_app, "flask": flask_app, "starlette": starlette_app}[FRAMEWORK]()
