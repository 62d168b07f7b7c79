# Rails with a cookie that it sets anew at each request, because it expires an hour after the last one.

require "rails"
require "action_controller/railtie"

class Shop < Rails::Application
  config.load_defaults 6.1
  config.eager_load = false
  config.secret_key_base = ENV.fetch("SECRET")
  config.session_store :cookie_store, key: "_shop_session", expire_after: 3600
  config.action_dispatch.cookies_serializer = :json
  config.hosts.clear
  config.logger = Logger.new($stderr, level: :fatal)
  config.consider_all_requests_local = false
end

class SessionsController < ActionController::Base
  protect_from_forgery with: :null_session, if: -> { false }

  def begin
    session[:user_id] = params[:user]
    render json: {}
  end

  def poll
    render json: { user: session[:user_id] }
  end

  def finish
    reset_session
    render json: {}
  end
end

Shop.initialize!
Shop.routes.draw do
  get "sign-in", to: "sessions#begin"
  get "poll", to: "sessions#poll"
  post "sign-out", to: "sessions#finish"
end

run Shop
